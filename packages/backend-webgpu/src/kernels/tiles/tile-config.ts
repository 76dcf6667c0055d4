// Tile sizes of the matrix products, as data: what there is and which of it a device can run. Not which is best where.
import type { DeviceTraits, SubgroupMatrixShape } from '../../device/traits.js';
import { HALVES, type MatrixDialect } from '../subgroup-matrix-wgsl.js';

/** A workgroup computes tileM × tileN of the product and goes through the reduction in steps of tileK. All are multiples of 4. */
interface TileSize {
  readonly tileM: number;
  readonly tileN: number;
  readonly tileK: number;
}

/** Threads compute threadM × threadN each, multiples of 4, in float32. */
export interface PlainTile extends TileSize {
  readonly kind: 'plain';
  readonly threadM: number;
  readonly threadN: number;
  /** The next step is on its way from memory while this one is computed. */
  readonly prefetch: boolean;
  /** No loop is unrolled: compilers of software adapters take seconds over what is. */
  readonly rolled: boolean;
}

/** subgroupsM × subgroupsN subgroups multiply float16 matrices of one shape, into float32. */
export interface MatrixTile extends TileSize {
  readonly kind: 'matrix';
  /** Steps in workgroup memory: with two, the next is put there while this one is computed. */
  readonly stages: 1 | 2;
  /** Matrices beside each other that a subgroup hands over at once when it has finished them; a divisor of all that it has beside each other. */
  readonly together: number;
  readonly subgroupsM: number;
  readonly subgroupsN: number;
  readonly subgroupSize: number;
  readonly shape: SubgroupMatrixShape;
  readonly dialect: MatrixDialect;
}

export type Tile = PlainTile | MatrixTile;

function plain(tileM: number, tileN: number, tileK: number, threadM: number, threadN: number, prefetch = false): PlainTile {
  return { kind: 'plain', tileM, tileN, tileK, threadM, threadN, prefetch, rolled: false };
}

/** Large tiles read less, small ones keep more workgroups busy; flat ones are for products with few rows or columns. */
const PLAIN: readonly PlainTile[] = [
  plain(128, 128, 16, 8, 8, true),
  plain(128, 128, 16, 8, 8),
  plain(128, 128, 8, 8, 8, true),
  plain(128, 128, 8, 8, 8),
  plain(128, 64, 16, 8, 4, true),
  plain(128, 64, 16, 8, 4),
  plain(64, 128, 16, 4, 8, true),
  plain(64, 128, 16, 4, 8),
  plain(64, 64, 16, 8, 8),
  plain(64, 64, 16, 8, 4, true),
  plain(64, 64, 16, 4, 4),
  plain(64, 64, 32, 4, 4),
  plain(32, 64, 16, 4, 4),
  plain(64, 32, 16, 4, 4),
  plain(32, 32, 32, 4, 4),
  plain(16, 16, 32, 4, 4),
  plain(128, 16, 16, 4, 4),
  plain(16, 128, 16, 4, 4),
  plain(4, 256, 16, 4, 4),
  plain(256, 4, 16, 4, 4),
];

/** tileM, tileN, tileK, subgroupsM, subgroupsN, stages: what was among the fastest of some shape on an H200, the likeliest first, and small ones. */
const MATRIX = [
  [128, 256, 32, 2, 4, 1],
  [256, 128, 32, 4, 2, 1],
  [128, 128, 64, 2, 2, 1],
  [128, 128, 32, 4, 2, 1],
  [64, 128, 32, 2, 2, 2],
  [64, 32, 32, 2, 1, 1],
  [32, 64, 32, 1, 2, 1],
  [32, 32, 32, 1, 1, 1],
] as const;

/** Tells tiles apart, in names of programs and in the file of measured choices. */
export function tileName(tile: Tile): string {
  const size = `${tile.tileM}x${tile.tileN}x${tile.tileK}`;
  if (tile.kind === 'plain') return `${size}/${tile.threadM}x${tile.threadN}${tile.prefetch ? '+' : ''}${tile.rolled ? '~' : ''}`;
  const { subgroupsM, subgroupsN, shape: { M, N, K } } = tile;
  return `${size}/${subgroupsM}x${subgroupsN}${tile.stages === 2 ? '+' : ''} of ${M}x${N}x${K}`;
}

export function threadsOf(tile: Tile): number {
  if (tile.kind === 'matrix') return tile.subgroupsM * tile.subgroupsN * tile.subgroupSize;
  return (tile.tileM / tile.threadM) * (tile.tileN / tile.threadN);
}

/** vec4s after each row of an operand staged in columns: transposing writes then meet fewer banks twice. */
export const PADDING = 1;

/** Workgroup memory besides what is staged: a few words for finding the tile's place. */
const FOUND_BYTES = 64;

/** Workgroup memory of the operands of the steps that are staged at once, at most. */
function stagedBytes({ tileM, tileN, tileK, stages }: Omit<MatrixTile, 'together'>): number {
  const longest = (size: number): number => Math.max(size * (tileK + HALVES), tileK * (size + HALVES));
  return 2 * stages * (longest(tileM) + longest(tileN));
}

/** Workgroup memory of one matrix of results of every subgroup. */
const resultBytes = ({ subgroupsM, subgroupsN, shape: { M, N } }: Omit<MatrixTile, 'together'>): number => 4 * subgroupsM * subgroupsN * M * N;

function tileBytes(tile: Tile): number {
  if (tile.kind === 'plain') return tile.tileK * (tile.tileM / 4 + tile.tileN / 4 + 2 * PADDING) * 16 + FOUND_BYTES;
  return stagedBytes(tile) + tile.together * resultBytes(tile) + FOUND_BYTES;
}

const fits = (tile: Tile, traits: DeviceTraits): boolean => threadsOf(tile) <= traits.maxInvocations && tileBytes(tile) <= traits.workgroupMemoryBytes;

/** On software adapters three sizes only, so that few programs are compiled. */
const SOFTWARE = new Set(['128x128x16/8x8', '64x64x16/4x4', '16x16x32/4x4']);

/** The plain tiles that a device can run. */
export function plainTiles(traits: DeviceTraits): readonly PlainTile[] {
  const possible = PLAIN.filter((tile) => fits(tile, traits));
  return traits.software ? possible.filter((tile) => SOFTWARE.has(tileName(tile))).map((tile) => ({ ...tile, rolled: true })) : possible;
}

/** The tiles of subgroup matrices that a device should be able to run; none where the size of its subgroups is not known before. */
export function matrixTiles(traits: DeviceTraits, dialect: MatrixDialect): readonly MatrixTile[] {
  const { subgroupMinSize, subgroupMaxSize: subgroupSize, subgroupMatrix: [shape] } = traits;
  if (!shape || !traits.float16 || subgroupMinSize !== subgroupSize) return [];
  const whole = MATRIX.map(([tileM, tileN, tileK, subgroupsM, subgroupsN, stages]) => ({ kind: 'matrix', tileM, tileN, tileK, subgroupsM, subgroupsN, stages, subgroupSize, shape, dialect } as const))
    .filter(isWhole);
  return whole.map((tile): MatrixTile => ({ ...tile, together: togetherOf(tile, traits) })).filter((tile) => fits(tile, traits));
}

/** As many as there is memory for: every turn costs two barriers. */
function togetherOf(tile: Omit<MatrixTile, 'together'>, { workgroupMemoryBytes }: DeviceTraits): number {
  const across = tile.tileN / tile.subgroupsN / tile.shape.N;
  const most = (workgroupMemoryBytes - stagedBytes(tile) - FOUND_BYTES) / resultBytes(tile);
  for (let count = across; count > 1; count--) if (across % count === 0 && count <= most) return count;
  return 1;
}

function isWhole({ tileM, tileN, tileK, subgroupsM, subgroupsN, shape: { M, N, K } }: Omit<MatrixTile, 'together'>): boolean {
  return tileM % (subgroupsM * M) === 0 && tileN % (subgroupsN * N) === 0 && tileK % K === 0;
}
