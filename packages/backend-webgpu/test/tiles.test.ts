// The tiles of matrix products, all of those that a hardware adapter would choose from: they give the same bits, and those are right.
import { createCpuBackend } from '@xmoe/backend-cpu';
import { sizeOf, type Backend, type DType, type Operand } from '@xmoe/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createWebGpuBackend, type WebGpuBackend } from '../src/index.js';
import { plainTiles, tileName, type PlainTile } from '../src/kernels/tiles/tile-config.js';
import { webGpuAdapter } from './adapter.js';
import { nullBackend, runEveryProduct } from './every-product.js';

const { available, reason } = await webGpuAdapter();

it('every tile of a hardware adapter compiles with every product, as it is used there', async () => {
  const made = await nullBackend(['shader-f16'], { tuning: 'off' });
  const tiles = plainTiles({ ...made.traits, software: false });
  expect(tiles.length).toBe(15); // the others need more memory than every device has
  expect(tiles.some(({ rolled }) => rolled)).toBe(false);
  for (const tile of tiles) {
    made.tilings.forced = tile;
    for (const dtype of ['float16', 'float32'] as const) await made.read(runEveryProduct(made, dtype));
  }
  made.dispose();
});

function operand(backend: Backend, dtype: DType, shape: readonly number[], salt = 0): Operand {
  const made = { buffer: backend.allocate(dtype, sizeOf(shape)), shape, dtype };
  if (salt > 0) backend.write(made, Array.from({ length: sizeOf(shape) }, (_, i) => Math.sin(i * salt * 0.618)));
  return made;
}

describe.skipIf(!available)(`on ${reason}`, () => {
  let backend: WebGpuBackend;
  const cpu = createCpuBackend();
  beforeAll(async () => {
    backend = await createWebGpuBackend({ tuning: 'off' });
  });
  afterAll(() => backend.dispose());

  // A tile and a bit each way of the largest, and more than two steps.
  const [M, N, K] = [132, 136, 36];

  async function product(on: Backend, transposeA: boolean, transposeB: boolean): Promise<number[]> {
    const a = operand(on, 'float32', transposeA ? [1, K, M] : [1, M, K], 3);
    const b = operand(on, 'float32', transposeB ? [1, N, K] : [1, K, N], 5);
    const out = operand(on, 'float32', [1, M, N]);
    on.kernels.matmul({ a, b }, { out }, { transposeA, transposeB });
    const values = Array.from(await on.read(out));
    for (const { buffer } of [a, b, out]) on.free(buffer);
    return values;
  }

  // Software adapters never choose from these by themselves.
  const tiles = () => plainTiles({ ...backend.traits, software: false });
  /** Compiled in a second here; an unrolled one takes up to ten. */
  const rolled = (tile: PlainTile): PlainTile => ({ ...tile, rolled: true, prefetch: false });

  async function compare(chosen: readonly PlainTile[], transposeA: boolean, transposeB: boolean): Promise<void> {
    const expected = await product(cpu, transposeA, transposeB);
    let first: number[] | undefined;
    for (const tile of chosen) {
      backend.tilings.forced = tile;
      const found = await product(backend, transposeA, transposeB);
      if (first === undefined) expect(Math.max(...found.map((value, i) => Math.abs(value - expected[i]!)))).toBeLessThan(1e-5);
      first ??= found;
      expect(found.findIndex((value, i) => value !== first![i]), tileName(tile)).toBe(-1);
    }
  }

  // The sizes are spread over the layouts: both loaders of both sides.
  it('every size gives the same bits', async () => {
    const sizes = tiles().filter(({ prefetch }) => !prefetch).map(rolled);
    expect(sizes.length).toBe(15);
    await compare(sizes.filter((_, index) => index % 2 === 0), false, true);
    await compare(sizes.filter((_, index) => index % 2 === 1), true, false);
  });

  it('unrolling and fetching ahead change no bit', async () => {
    for (const [name, transposeA, transposeB] of [['128x128x8/8x8+', false, true], ['64x64x16/8x4+', true, false], ['64x64x16/4x4', false, false]] as const) {
      const tile = tiles().find((candidate) => tileName(candidate) === name)!;
      await compare([rolled(tile), tile], transposeA, transposeB);
    }
  });
});
