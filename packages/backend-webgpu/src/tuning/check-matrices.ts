// Whether subgroup matrices can be trusted on this device: their programs must compile, and their products must be those of the plain
// tiles. Asked once, when a backend is made; never an error, only an answer. What fails after it has compiled leaves the backend
// unusable, like every failure: then another is made without them.
import { sizeOf, type Backend, type DType, type Operand } from '@xmoe/core';
import { compiling } from '../runtime/failures.js';
import { createProgram } from '../runtime/program.js';
import { denseProduct } from '../kernels/matmul.js';
import type { TileOperand } from '../kernels/tiles/operand-wgsl.js';
import { tileName, type MatrixTile } from '../kernels/tiles/tile-config.js';
import { matrixTileProgram } from '../kernels/tiles/matrix-tile-wgsl.js';
import type { Tilings } from '../kernels/tiles/tilings.js';

/** The part of a backend that is checked. */
export interface CheckedBackend extends Pick<Backend, 'kernels' | 'allocate' | 'free' | 'write' | 'read'> {
  readonly device: GPUDevice;
  readonly tilings: Tilings;
}

/** Makes `tilings.matrices` of the tiles if they can be trusted. What to say about it. */
export async function checkMatrices(backend: CheckedBackend, tiles: readonly MatrixTile[]): Promise<string> {
  if (tiles.length === 0) return 'no tile for its subgroup matrices';
  // The largest and the smallest stand for all: one generator makes them, and compiling all would take seconds.
  for (const tile of new Set([tiles[0]!, tiles.at(-1)!])) {
    const problem = await problemOf(backend, tile);
    if (problem !== undefined) return `no subgroup matrices: ${tileName(tile)} ${problem}`;
  }
  backend.tilings.matrices = tiles;
  return 'subgroup matrices';
}

async function problemOf(backend: CheckedBackend, tile: MatrixTile): Promise<string | undefined> {
  try {
    return (await compileProblem(backend.device, tile)) ?? (await resultProblem(backend, tile));
  } catch (error) {
    return `fails (${error instanceof Error ? error.message : String(error)})`;
  }
}

const FLAGS = [[false, false], [true, false], [false, true]] as const;

/** Apart from the backend's own programs, whose failure to compile is an error. */
async function compileProblem(device: GPUDevice, tile: MatrixTile): Promise<string | undefined> {
  const operand = (buffer: string, rows: TileOperand['rows']): TileOperand => ({ buffer, element: 'f16', rows, vector: true });
  const error = await compiling(device, () => {
    for (const [transposeA, transposeB] of FLAGS) {
      const product = denseProduct(operand('a', transposeA ? 'inner' : 'outer'), operand('b', transposeB ? 'outer' : 'inner'), 'f32', true, false);
      const { source } = createProgram('matmul check', matrixTileProgram(product, tile));
      device.createComputePipeline({ layout: 'auto', compute: { module: device.createShaderModule({ code: source }), entryPoint: 'main' } });
    }
  }).error;
  return error && `does not compile (${error.message.split('\n')[0]})`;
}

/** More than a tile each way and no multiple of one; multiples of 4, as in the programs that were compiled before. */
const SIZES = { M: 152, N: 136, K: 76 };

async function resultProblem(backend: CheckedBackend, tile: MatrixTile): Promise<string | undefined> {
  const { M, N, K } = SIZES;
  const operands: Operand[] = [];
  const make = (dtype: DType, shape: readonly number[]): Operand => {
    const operand = { buffer: backend.allocate(dtype, sizeOf(shape)), shape, dtype };
    operands.push(operand);
    return operand;
  };
  try {
    for (const [transposeA, transposeB] of FLAGS) {
      const a = make('float16', transposeA ? [1, K, M] : [1, M, K]);
      const b = make('float16', transposeB ? [1, N, K] : [1, K, N]);
      for (const [operand, salt] of [[a, 7], [b, 13]] as const) backend.write(operand, wave(sizeOf(operand.shape), salt));
      const results: Promise<ArrayLike<number>>[] = [];
      for (const forced of [tile, undefined]) {
        const out = make('float32', [1, M, N]);
        backend.tilings.forced = forced;
        backend.kernels.matmul(a, b, out, { transposeA, transposeB });
        results.push(backend.read(out));
      }
      const [found, expected] = (await Promise.all(results)) as [ArrayLike<number>, ArrayLike<number>];
      // The operands are the same halves on both sides; only the order of the float32 sums differs.
      const wrong = Array.from(expected).findIndex((value, i) => !(Math.abs(found[i]! - value) <= 1e-3 * (1 + Math.abs(value))));
      if (wrong >= 0) return `computes ${found[wrong]} for ${expected[wrong]}`;
    }
    return undefined;
  } finally {
    backend.tilings.forced = undefined;
    for (const { buffer } of operands) backend.free(buffer);
  }
}

/** Numbers in −1 … 1 that do not repeat with any small period. */
function wave(length: number, salt: number): number[] {
  return Array.from({ length }, (_, i) => Math.sin(i * salt * 0.618 + salt));
}
