// What is beyond the range of float16 becomes an infinity there, whichever kernel stores it, also on a device that would store something else:
// dynamic loss scaling finds overflow by it.
import { describe, expect, it } from 'vitest';
import { createMockGpu, LARGE_GPU } from '@xmoe/testing';
import { createWebGpuBackend, openGpuDevice } from '../src/index.js';
import { halfOverflows } from '../src/device/probe-half.js';
import { webGpuAdapter } from './adapter.js';
import { testFamily } from './conformance.js';
import { contents, operand } from './operands.js';

const { available, reason, float16 } = await webGpuAdapter();
const VALUES = [0, 1.5, -2, 65504, 65519, 65520, -65520, 1e6, -3e38, Infinity, -Infinity, 2 ** -24, NaN];
const STORED = [0, 1.5, -2, 65504, 65504, Infinity, -Infinity, Infinity, -Infinity, Infinity, -Infinity, 2 ** -24, NaN];

describe.skipIf(!available || !float16)(`float16 on ${reason}`, () => {
  it.each([['as the device was found to be', {}], ['said explicitly', { traits: { halfOverflows: false } }]])('overflows to infinity, %s', async (_, options) => {
    const backend = await createWebGpuBackend(options);
    const x = operand(backend, [VALUES.length], VALUES);
    const half = operand(backend, [VALUES.length], undefined, 'float16');
    backend.kernels.cast({ x }, { out: half });
    expect(await contents(backend, half)).toEqual(STORED);
    const [a, b, out] = [operand(backend, [1, 2, 3], [300, 0, 0, 1, 2, 3], 'float16'), operand(backend, [1, 3, 2], [-400, 1, 0, 1, 0, 1], 'float16'), operand(backend, [1, 2, 2], undefined, 'float16')];
    backend.kernels.matmul({ a, b }, { out }, { transposeA: false, transposeB: false });
    expect(await contents(backend, out)).toEqual([-Infinity, 300, -400, 6]);
    backend.dispose();
  });

  it('is asked of the device', async () => {
    const { device } = await openGpuDevice();
    expect(typeof (await halfOverflows(device))).toBe('boolean');
    device.destroy();
  });
});

it('a device that answers something else is not believed', async () => {
  expect(await halfOverflows(createMockGpu(LARGE_GPU).device)).toBe(false);
});

/** Of what shares how it stores, the richest: a program takes seconds to compile here. */
const RICHEST = /pre, gelu-tanh|W transposed, none/;

await testFamily(['cast', 'layerNorm', 'softmax', 'groupedLinear', 'dropout', 'attention'], {
  label: 'webgpu with explicit overflow', variants: 'native', backend: { traits: { halfOverflows: false } },
  skip: ({ dtype, primitive, label }) => (dtype !== 'float16' ? 'not half' : primitive === 'groupedLinear' && !RICHEST.test(label) ? 'stores like another' : undefined),
});
