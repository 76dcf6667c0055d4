// The compiled backend against the plain one: every primitive, each variant, on one thread and on several. That the number of
// threads changes no bit is in wasm-cut.test.ts.
import { describe, expect, it } from 'vitest';
import { createWasmBackend } from '@xmoe/backend-cpu';
import { runConformance } from '@xmoe/testing';

runConformance({ describe, it, expect }, 'cpu:wasm relaxed on 3 threads', () => createWasmBackend({ threads: 3, variant: 'relaxed' }));
runConformance({ describe, it, expect }, 'cpu:wasm simd on one thread', () => createWasmBackend({ threads: 1, variant: 'simd' }));
