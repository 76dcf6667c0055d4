// Generation with cached keys and values on every backend that runs here. What is tested is in generation-suite.ts.
import { createCpuBackend, createWasmBackend } from '@xmoe/backend-cpu';
import { createTfjsBackendFor } from '@xmoe/backend-tfjs/node';
import { createWebGpuBackend } from '@xmoe/backend-webgpu';
import { describe } from 'vitest';
import { webGpuAdapter } from '../../backend-webgpu/test/adapter.js';
import { describeGeneration } from './generation-suite.js';

const adapter = await webGpuAdapter();

describeGeneration('cpu:plain', () => createCpuBackend());
describeGeneration('cpu:wasm', () => createWasmBackend());
describeGeneration('tfjs:wasm', () => createTfjsBackendFor('wasm'));
describeGeneration('tfjs:cpu', () => createTfjsBackendFor('cpu'));
describe.runIf(adapter.available)('with an adapter', () => describeGeneration('webgpu', () => createWebGpuBackend()));
