// Tile sizes of the matrix products, as data: what there is and which of it a device can run. Not which is best where.
import type { DeviceTraits } from '../../device/traits.js';

/**
 * A workgroup computes tileM × tileN of the product and goes through the reduction in steps of tileK; a thread computes
 * threadM × threadN of it. All are multiples of 4. `prefetch`: the next step is on its way from memory while this one is computed.
 */
export interface TileConfig {
  readonly tileM: number;
  readonly tileN: number;
  readonly tileK: number;
  readonly threadM: number;
  readonly threadN: number;
  readonly prefetch: boolean;
  /** No loop is unrolled: compilers of software adapters take seconds over what is. */
  readonly rolled: boolean;
}

function tile(tileM: number, tileN: number, tileK: number, threadM: number, threadN: number, prefetch = false): TileConfig {
  return { tileM, tileN, tileK, threadM, threadN, prefetch, rolled: false };
}

/** Large tiles read less, small ones keep more workgroups busy; flat ones are for products with few rows or columns. */
const CONFIGS: readonly TileConfig[] = [
  tile(128, 128, 16, 8, 8, true),
  tile(128, 128, 16, 8, 8),
  tile(128, 128, 8, 8, 8, true),
  tile(128, 128, 8, 8, 8),
  tile(128, 64, 16, 8, 4, true),
  tile(128, 64, 16, 8, 4),
  tile(64, 128, 16, 4, 8, true),
  tile(64, 128, 16, 4, 8),
  tile(64, 64, 16, 8, 8),
  tile(64, 64, 16, 8, 4, true),
  tile(64, 64, 16, 4, 4),
  tile(64, 64, 32, 4, 4),
  tile(32, 64, 16, 4, 4),
  tile(64, 32, 16, 4, 4),
  tile(32, 32, 32, 4, 4),
  tile(16, 16, 32, 4, 4),
  tile(128, 16, 16, 4, 4),
  tile(16, 128, 16, 4, 4),
  tile(4, 256, 16, 4, 4),
  tile(256, 4, 16, 4, 4),
];

export function tileName({ tileM, tileN, tileK, threadM, threadN, prefetch, rolled }: TileConfig): string {
  return `${tileM}x${tileN}x${tileK}/${threadM}x${threadN}${prefetch ? '+' : ''}${rolled ? '~' : ''}`;
}

export function threadsOf({ tileM, tileN, threadM, threadN }: TileConfig): number {
  return (tileM / threadM) * (tileN / threadN);
}

/** One vec4 of padding per row of a staged operand: transposing writes then meet fewer banks twice. */
export const PADDING = 1;

/** Workgroup memory: both operands of one step in float32, padded, and a few words for finding the tile's place. */
export function tileBytes({ tileM, tileN, tileK }: TileConfig): number {
  return tileK * (tileM / 4 + tileN / 4 + 2 * PADDING) * 16 + 64;
}

/** On software adapters three sizes only, so that few programs are compiled. */
const SOFTWARE = new Set(['128x128x16/8x8', '64x64x16/4x4', '16x16x32/4x4']);

/** The tiles that a device can run. */
export function tileConfigs(traits: DeviceTraits): readonly TileConfig[] {
  const possible = CONFIGS.filter((config) => threadsOf(config) <= traits.maxInvocations && tileBytes(config) <= traits.workgroupMemoryBytes);
  return traits.software ? possible.filter((config) => SOFTWARE.has(tileName(config))).map((config) => ({ ...config, rolled: true })) : possible;
}
