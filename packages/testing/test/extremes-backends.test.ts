// Ends of ranges on every backend that runs here. What is tested is in extremes-suite.ts; WebGPU is in webgpu-engine.test.ts.
import { createCpuBackend, createWasmBackend } from '@xmoe/backend-cpu';
import { createTfjsBackendFor } from '@xmoe/backend-tfjs/node';
import { withoutFused } from '../src/without-fused.js';
import { describeExtremes } from './extremes-suite.js';

describeExtremes('cpu', () => createCpuBackend());
describeExtremes('cpu:wasm', () => createWasmBackend({ threads: 2 }));
describeExtremes('tfjs:wasm', () => createTfjsBackendFor('wasm'));
describeExtremes('cpu by fallbacks', () => withoutFused(createCpuBackend()));
