// The compiled backend against the plain one: every primitive, each variant, on one thread and on several. That the number of
// threads changes no bit is in wasm-cut.test.ts.
import { describe, expect, it } from 'vitest';
import { createWasmBackend } from '@xmoe/backend-cpu';
import { runConformance } from '@xmoe/testing';
import { whyNotRevectorized } from '../src/engine/probe.js';

runConformance({ describe, it, expect }, 'cpu:wasm relaxed on 3 threads', () => createWasmBackend({ threads: 3, variant: 'relaxed' }));
runConformance({ describe, it, expect }, 'cpu:wasm simd on one thread', () => createWasmBackend({ threads: 1, variant: 'simd' }));

const reason = await whyNotRevectorized();
if (reason) process.stdout.write(`the re-vectorised variant was not tested: ${reason}\n`);
else runConformance({ describe, it, expect }, 'cpu:wasm re-vectorised on 2 threads', () => createWasmBackend({ threads: 2, variant: 'revectorized' }));
