// Attention on this backend: the suite, and windows of heads where operands are beyond the largest binding.
import { hostUniform, sizeOf, type DType, type Kernels, type Operand } from '@xmoe/core';
import { describe, expect, it } from 'vitest';
import { createWebGpuBackend, type WebGpuBackend, type WebGpuBackendOptions } from '../src/index.js';
import { webGpuAdapter } from './adapter.js';
import { testFamily } from './conformance.js';
import { FAMILIES } from './families.js';

await testFamily(FAMILIES.attention, { variants: 'native' });

const { available } = await webGpuAdapter();

function operand(backend: WebGpuBackend, shape: number[], dtype: DType, data?: ArrayLike<number>): Operand {
  const made = { buffer: backend.allocate(dtype, sizeOf(shape)), shape, dtype };
  if (data) backend.write(made, data);
  return made;
}

/** out, stats, dq, dk and dv of 8 heads with mask and dropout. */
async function everything(options: WebGpuBackendOptions): Promise<{ results: number[][]; dispatches: number }> {
  const backend = await createWebGpuBackend(options);
  const kernels = backend.kernels as Kernels;
  const [batch, T, D] = [8, 32, 4];
  const random = (seed: number): Operand => operand(backend, [batch, T, D], 'float32', hostUniform([seed, 0], batch * T * D));
  const [q, k, v, dout] = [random(1), random(2), random(3), random(4)];
  const keyMask = operand(backend, [2, T], 'bool', hostUniform([5, 0], 2 * T).map((value) => (value < 0.8 ? 1 : 0)));
  const key = operand(backend, [2], 'uint32', [7, 9]);
  const [out, dq, dk, dv] = [0, 0, 0, 0].map(() => operand(backend, [batch, T, D], 'float32'));
  const stats = operand(backend, [batch, T, 2], 'float32');
  const attributes = { heads: 4, causal: true, scale: 0.5, dropoutRate: 0.25, stream: 3 };
  kernels.attention({ q, k, v, keyMask, key }, { out, stats }, attributes);
  kernels.attentionGrad({ q, k, v, keyMask, key, out, stats, dout }, { dq, dk, dv }, attributes);
  const results = await Promise.all([out, stats, dq, dk, dv].map(async (item) => Array.from(await backend.read(item))));
  const { dispatches } = backend.statistics;
  backend.dispose();
  return { results, dispatches };
}

describe.skipIf(!available)('attention in windows of heads', () => {
  it('gives the bits of the whole', async () => {
    const whole = await everything({});
    // Two heads of q are 1,024 bytes, two of the numbers per query 1,056.
    const windows = await everything({ traits: { bindingBytes: 1100 } });
    expect(windows.dispatches).toBe(4 * whole.dispatches);
    expect(windows.results).toEqual(whole.results);
  });
});
