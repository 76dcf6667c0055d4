// Tile sizes of the matrix products, as data: what there is and which of it a device can run. Not which is best where.
import type { DeviceTraits, SubgroupMatrixShape } from '../../device/traits.js';
import type { MatrixDialect } from '../subgroup-matrix-wgsl.js';

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

/** tileM, tileN, tileK, subgroupsM, subgroupsN. */
const MATRIX = [
  [128, 128, 32, 4, 2],
  [128, 128, 32, 2, 2],
  [128, 64, 32, 2, 2],
  [64, 128, 32, 2, 2],
  [64, 64, 32, 2, 2],
  [64, 32, 32, 2, 1],
  [32, 64, 32, 1, 2],
  [32, 32, 32, 1, 1],
] as const;

/** Tells tiles apart, in names of programs and in the file of measured choices. */
export function tileName(tile: Tile): string {
  const size = `${tile.tileM}x${tile.tileN}x${tile.tileK}`;
  if (tile.kind === 'plain') return `${size}/${tile.threadM}x${tile.threadN}${tile.prefetch ? '+' : ''}${tile.rolled ? '~' : ''}`;
  const { subgroupsM, subgroupsN, shape: { M, N, K } } = tile;
  return `${size}/${subgroupsM}x${subgroupsN} of ${M}x${N}x${K}`;
}

export function threadsOf(tile: Tile): number {
  if (tile.kind === 'matrix') return tile.subgroupsM * tile.subgroupsN * tile.subgroupSize;
  return (tile.tileM / tile.threadM) * (tile.tileN / tile.threadN);
}

/** vec4s after each row of an operand staged in columns: transposing writes then meet fewer banks twice. */
export const PADDING = 1;
/** The same for float16 rows, which must begin at multiples of 16 bytes. */
export const HALF_PADDING = 8;

/** Workgroup memory: both operands of one step, one matrix of results per subgroup, and a few words for finding the tile's place. */
function tileBytes(tile: Tile): number {
  const { tileM, tileN, tileK } = tile;
  if (tile.kind === 'plain') return tileK * (tileM / 4 + tileN / 4 + 2 * PADDING) * 16 + 64;
  const longest = (size: number): number => Math.max(size * (tileK + HALF_PADDING), tileK * (size + HALF_PADDING));
  return 2 * (longest(tileM) + longest(tileN)) + 4 * tile.subgroupsM * tile.subgroupsN * tile.shape.M * tile.shape.N + 64;
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
  const all = MATRIX.map(([tileM, tileN, tileK, subgroupsM, subgroupsN]): MatrixTile =>
    ({ kind: 'matrix', tileM, tileN, tileK, subgroupsM, subgroupsN, subgroupSize, shape, dialect }));
  return all.filter((tile) => fits(tile, traits) && isWhole(tile));
}

function isWhole({ tileM, tileN, tileK, subgroupsM, subgroupsN, shape: { M, N, K } }: MatrixTile): boolean {
  return tileM % (subgroupsM * M) === 0 && tileN % (subgroupsN * N) === 0 && tileK % K === 0;
}
