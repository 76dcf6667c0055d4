// The compiled backend against the plain one: every primitive, with every variant, on one thread and on several.
import { describe, expect, it } from 'vitest';
import { createWasmBackend } from '@xmoe/backend-cpu';
import { runConformance } from '@xmoe/testing';

for (const variant of ['relaxed', 'simd'] as const) {
  for (const threads of [1, 3]) {
    runConformance({ describe, it, expect }, `cpu:wasm ${variant} ${threads}`, () => createWasmBackend({ threads, variant }));
  }
}
