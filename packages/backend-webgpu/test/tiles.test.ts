// The tiles of matrix products, all of those that a hardware adapter would choose from: they give the same bits, and those are right.
import { createCpuBackend } from '@xmoe/backend-cpu';
import { sizeOf, type Backend, type DType, type Operand } from '@xmoe/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createWebGpuBackend, type WebGpuBackend } from '../src/index.js';
import { plainTiles, tileName } from '../src/kernels/tiles/tile-config.js';
import { webGpuAdapter } from './adapter.js';

const { available, reason } = await webGpuAdapter();

function operand(backend: Backend, dtype: DType, shape: readonly number[], salt = 0): Operand {
  const made = { buffer: backend.allocate(dtype, sizeOf(shape)), shape, dtype };
  if (salt > 0) backend.write(made, Array.from({ length: sizeOf(shape) }, (_, i) => Math.sin(i * salt * 0.618)));
  return made;
}

describe.skipIf(!available)(`on ${reason}`, () => {
  let backend: WebGpuBackend;
  const cpu = createCpuBackend();
  beforeAll(async () => {
    // The unrolled forms that software adapters never get by themselves.
    backend = await createWebGpuBackend({ traits: { software: false }, tuning: 'off' });
  });
  afterAll(() => backend.dispose());

  // A tile and a bit each way of the largest, and more than two steps.
  const [M, N, K] = [132, 136, 36];

  async function product(on: Backend, transposeA: boolean, transposeB: boolean): Promise<number[]> {
    const a = operand(on, 'float32', transposeA ? [1, K, M] : [1, M, K], 3);
    const b = operand(on, 'float32', transposeB ? [1, N, K] : [1, K, N], 5);
    const out = operand(on, 'float32', [1, M, N]);
    on.kernels.matmul(a, b, out, { transposeA, transposeB });
    const values = Array.from(await on.read(out));
    for (const { buffer } of [a, b, out]) on.free(buffer);
    return values;
  }

  // Three loaders of each side in two layouts.
  for (const [transposeA, transposeB] of [[false, true], [true, false]] as const) {
    it(`every tile gives the same bits${transposeA ? ', a transposed' : ''}${transposeB ? ', b transposed' : ''}`, async () => {
      const expected = await product(cpu, transposeA, transposeB);
      let first: number[] | undefined;
      for (const tile of plainTiles({ ...backend.traits, workgroupMemoryBytes: 32768 }).filter((_, index) => index % 2 === (transposeA ? 0 : 1))) {
        backend.tilings.forced = tile;
        const found = await product(backend, transposeA, transposeB);
        if (first === undefined) expect(Math.max(...found.map((value, i) => Math.abs(value - expected[i]!)))).toBeLessThan(1e-5);
        first ??= found;
        expect(found.findIndex((value, i) => value !== first![i]), tileName(tile)).toBe(-1);
      }
      backend.tilings.forced = undefined;
    });
  }
});
