// Losses at large offsets and extremes, on every backend that runs here and on core's fallbacks. What is tested is in
// offsets-suite.ts.
import { createCpuBackend, createWasmBackend } from '@xmoe/backend-cpu';
import { createTfjsBackendFor } from '@xmoe/backend-tfjs/node';
import { createWebGpuBackend } from '@xmoe/backend-webgpu';
import { withoutFused } from '@xmoe/testing';
import { whyNotRevectorized } from '../../backend-cpu/src/engine/probe.js';
import { webGpuAdapter } from '../../backend-webgpu/test/adapter.js';
import { describeOffsets } from './offsets-suite.js';

describeOffsets('cpu', () => createCpuBackend());
describeOffsets('cpu, fallbacks', () => withoutFused(createCpuBackend()));
for (const variant of ['relaxed', 'simd', ...((await whyNotRevectorized()) ? [] : (['revectorized'] as const))] as const) {
  describeOffsets(`cpu:wasm ${variant}`, () => createWasmBackend({ variant, threads: 2 }));
}
describeOffsets('tfjs:wasm', () => createTfjsBackendFor('wasm'));
describeOffsets('tfjs:cpu', () => createTfjsBackendFor('cpu'));

const adapter = await webGpuAdapter();
if (adapter.available) describeOffsets('webgpu', () => createWebGpuBackend());
