// The golden numbers on every backend that runs here. What is tested is in golden-suite.ts; the compiled engine, cut into
// pieces for its threads, is in wasm-engine.test.ts.
import { createCpuBackend, createWasmBackend } from '@xmoe/backend-cpu';
import { createTfjsBackendFor } from '@xmoe/backend-tfjs/node';
import { describeGolden } from './golden-suite.js';

describeGolden('cpu', () => createCpuBackend());
describeGolden('cpu in float64', () => createCpuBackend({ accumulate: 'float64' }));
describeGolden('cpu:wasm', () => createWasmBackend());
describeGolden('tfjs:wasm', () => createTfjsBackendFor('wasm'));
describeGolden('tfjs:cpu', () => createTfjsBackendFor('cpu'));
