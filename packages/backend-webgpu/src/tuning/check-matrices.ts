// Whether subgroup matrices can be trusted on this device: their programs must compile, and every tile's products, dense and grouped, must be
// those of the plain tiles. Asked once, when a backend is made; never an error, only an answer. What fails after it has compiled leaves the
// backend unusable, like every failure: then another is made without them.
import { sizeOf, type Backend, type DType, type Operand } from '@xmoe/core';
import { tileName, type MatrixTile } from '../kernels/tiles/tile-config.js';
import type { Tilings } from '../kernels/tiles/tilings.js';

/** The part of a backend that is checked. */
export interface CheckedBackend extends Pick<Backend, 'kernels' | 'allocate' | 'free' | 'write' | 'read'> {
  readonly tilings: Tilings;
  compile(work: () => void): Promise<string | undefined>;
}

/** Makes `tilings.matrices` of the tiles that compile, if all of them can be trusted. What to say about it. */
export async function checkMatrices(backend: CheckedBackend, tiles: readonly MatrixTile[]): Promise<string> {
  if (tiles.length === 0) return 'no tile for its subgroup matrices';
  const { tilings } = backend;
  const trials = prepareTrials(backend);
  try {
    const problems = await Promise.all(tiles.map((tile) => backend.compile(() => runAll(backend, trials, tile))));
    const compiled = tiles.filter((_, index) => problems[index] === undefined);
    if (compiled.length === 0) return `no subgroup matrices: ${tileName(tiles[0]!)} does not compile (${problems[0]})`;
    // One wrong tile, and none is believed: they have one generator, and share what the driver makes of it.
    const problem = await wrongResult(backend, trials, compiled);
    if (problem !== undefined) return `no subgroup matrices: ${problem}`;
    tilings.matrices = compiled;
    return compiled.length === tiles.length ? 'subgroup matrices' : `subgroup matrices (${tiles.length - compiled.length} of ${tiles.length} tiles do not compile)`;
  } finally {
    for (const { operands } of trials) for (const { buffer } of operands) backend.free(buffer);
  }
}

/** A product on operands of its own. */
interface Trial {
  readonly operands: readonly Operand[];
  readonly out: Operand;
  run(): void;
}

function runAll({ tilings }: CheckedBackend, trials: readonly Trial[], tile: MatrixTile): void {
  tilings.forced = tile;
  try {
    for (const { run } of trials) run();
  } finally {
    tilings.forced = undefined;
  }
}

/** What the first tile that is wrong computes. */
async function wrongResult(backend: CheckedBackend, trials: readonly Trial[], tiles: readonly MatrixTile[]): Promise<string | undefined> {
  const results = async (): Promise<ArrayLike<number>[]> => Promise.all(trials.map(({ out }) => backend.read(out)));
  for (const { run } of trials) run();
  const expected = await results();
  for (const tile of tiles) {
    try {
      runAll(backend, trials, tile);
      const found = await results();
      const problem = expected.map((values, index) => firstDifference(values, found[index]!)).find((text) => text !== undefined);
      if (problem !== undefined) return `${tileName(tile)} ${problem}`;
    } catch (error) {
      return `${tileName(tile)} fails (${error instanceof Error ? error.message : String(error)})`;
    }
  }
  return undefined;
}

/** The operands are the same halves on both sides; only the order of the float32 sums differs. */
function firstDifference(expected: ArrayLike<number>, found: ArrayLike<number>): string | undefined {
  const wrong = Array.from(expected).findIndex((value, i) => !(Math.abs(found[i]! - value) <= 1e-3 * (1 + Math.abs(value))));
  return wrong < 0 ? undefined : `computes ${found[wrong]} for ${expected[wrong]}`;
}

/** More than a tile each way and no multiple of one. */
const SIZES = { M: 152, N: 136, K: 76 };
/** Rows of three segments, one of them empty. */
const OFFSETS = [0, 131, 131, 152];

function prepareTrials(backend: CheckedBackend): Trial[] {
  const { M, N, K } = SIZES;
  const { kernels } = backend;
  const trial = (shapes: readonly [readonly number[], readonly number[]], outShape: readonly number[], multiply: (a: Operand, b: Operand, out: Operand, offsets: Operand) => void): Trial => {
    const make = (dtype: DType, shape: readonly number[]): Operand => ({ buffer: backend.allocate(dtype, sizeOf(shape)), shape, dtype });
    const [a, b] = [make('float16', shapes[0]), make('float16', shapes[1])];
    const [out, offsets] = [make('float32', outShape), make('int32', [OFFSETS.length])];
    for (const [operand, salt] of [[a, 7], [b, 13]] as const) backend.write(operand, wave(sizeOf(operand.shape), salt));
    backend.write(offsets, OFFSETS);
    return { operands: [a, b, out, offsets], out, run: () => multiply(a, b, out, offsets) };
  };
  const dense = ([transposeA, transposeB]: readonly [boolean, boolean]): Trial =>
    trial([transposeA ? [1, K, M] : [1, M, K], transposeB ? [1, N, K] : [1, K, N]], [1, M, N], (a, b, out) => kernels.matmul(
      { a, b },
      { out }, { transposeA, transposeB },
    ));
  return [
    ...([[false, false], [true, false], [false, true]] as const).map(dense),
    trial([[M, K], [3, K, N]], [M, N], (x, w, out, offsets) => kernels.groupedMatmul({ x, w, offsets }, { out }, { transposeW: false })),
    trial([[M, K], [3, N, K]], [M, N], (x, w, out, offsets) => kernels.groupedMatmul({ x, w, offsets }, { out }, { transposeW: true })),
    trial([[M, K], [M, N]], [3, K, N], (x, dy, out, offsets) => kernels.groupedMatmulWeightGrad({ x, dy, offsets }, { out })),
  ];
}

/** Numbers in −1 … 1 that do not repeat with any small period. */
export function wave(length: number, salt: number): number[] {
  return Array.from({ length }, (_, i) => Math.sin(i * salt * 0.618 + salt));
}
