// Which tile a product gets: what was measured for its class of shapes, else a guess from its sizes. Measuring is elsewhere.
import type { DeviceTraits } from '../../device/traits.js';
import type { AttentionMatrices } from '../attention-matrix-wgsl.js';
import { plainTiles, tileName, threadsOf, type MatrixTile, type Tile } from './tile-config.js';

/** What a choice depends on. `count` products of M × N over K each; for ragged segments K or M is their mean. */
export interface ProductShape {
  readonly kind: 'matmul' | 'linear' | 'weight-grad';
  readonly half: boolean;
  /** Whether the rows of a and b in storage are outer (o) or of the reduction (i): `oi` is a plain product. */
  readonly layout: 'oo' | 'oi' | 'io' | 'ii';
  readonly M: number;
  readonly N: number;
  readonly K: number;
  readonly count: number;
}

export interface Tilings {
  pick(shape: ProductShape): Tile;
  /** The tiles to choose from for a product. All of them give the same bits. */
  candidates(shape: ProductShape): readonly Tile[];
  /** Measured choices: names of tiles by class. Unknown names are as good as none. */
  readonly chosen: Map<string, string>;
  /** Classes that were asked for and not measured, with the first shape of each. */
  readonly wanted: Map<string, ProductShape>;
  /** Tiles of subgroup matrices, once they are known to be right; for float16. */
  matrices: readonly MatrixTile[];
  /** Matrices for attention in float16, once its kernels are known to be right with them. */
  attention: AttentionMatrices | undefined;
  /** Every product that it is for gets this one until it is undefined again. */
  forced: Tile | undefined;
  /** Whether there is a measured choice for a product, of a tile that it can have. */
  isMeasured(shape: ProductShape): boolean;
}

/** So many classes are remembered as wanted. */
const MOST_WANTED = 256;
/** Products with fewer rows or columns are bound by memory: matrices would mostly multiply zeros. */
const FEWEST_FOR_MATRICES = 16;

export function createTilings(traits: DeviceTraits): Tilings {
  const plain = plainTiles(traits);
  const guesses = new Map<string, { tile: Tile; among: readonly Tile[]; choices: number }>();
  const tilings: Tilings = {
    chosen: new Map(),
    wanted: new Map(),
    matrices: [],
    attention: undefined,
    forced: undefined,
    isMeasured: (shape) => named(tilings.candidates(shape), tilings.chosen.get(classOf(shape))) !== undefined,
    candidates({ half, M, N }) {
      return half && tilings.matrices.length > 0 && Math.min(M, N) >= FEWEST_FOR_MATRICES ? tilings.matrices : plain;
    },
    pick(shape) {
      const { forced } = tilings;
      // Measuring waits for the device: products that others ask for meanwhile must not lose their precision to it.
      if (forced && (forced.kind === 'plain' || shape.half)) return forced;
      const key = classOf(shape);
      const candidates = tilings.candidates(shape);
      const measured = named(candidates, tilings.chosen.get(key));
      if (measured) return measured;
      if (tilings.wanted.size < MOST_WANTED && !tilings.wanted.has(key)) tilings.wanted.set(key, shape);
      const known = guesses.get(key);
      if (known && known.among === candidates && known.choices === tilings.chosen.size) return known.tile;
      const tile = nearestChoice(tilings.chosen, key, candidates) ?? guessTile(candidates, shape, traits.software);
      guesses.set(key, { tile, among: candidates, choices: tilings.chosen.size });
      return tile;
    },
  };
  return tilings;
}

/** Sizes to the next power of two: shapes of one class share a choice. */
export function classOf({ kind, half, layout, M, N, K, count }: ProductShape): string {
  const bucket = (size: number): number => Math.ceil(Math.log2(Math.max(1, size)));
  return [kind, half ? 'float16' : 'float32', layout, bucket(M), bucket(N), bucket(K), bucket(count)].join(' ');
}

/** Further away, in doublings of M, N and count and in fourfold ones of K, a measured class says nothing about another. */
const FARTHEST = 3;

/** The choice for the nearest class of the same kind, dtype and layout. */
function nearestChoice(chosen: ReadonlyMap<string, string>, key: string, candidates: readonly Tile[]): Tile | undefined {
  const wanted = key.split(' ');
  let nearest: Tile | undefined;
  let least = FARTHEST;
  for (const [other, name] of chosen) {
    const parts = other.split(' ');
    if (parts.slice(0, 3).join() !== wanted.slice(0, 3).join()) continue;
    const [m, n, k, count] = [3, 4, 5, 6].map((index) => Math.abs(Number(parts[index]) - Number(wanted[index]))) as [number, number, number, number];
    const distance = m + n + count + k / 2;
    const tile = distance <= least ? named(candidates, name) : undefined;
    if (tile) [nearest, least] = [tile, distance];
  }
  return nearest;
}

function named(candidates: readonly Tile[], name: string | undefined): Tile | undefined {
  return name === undefined ? undefined : candidates.find((tile) => tileName(tile) === name);
}

/** The least time by a crude model. */
function guessTile(candidates: readonly Tile[], shape: ProductShape, software: boolean): Tile {
  const times = candidates.map((tile) => modelTime(tile, shape, software));
  return candidates[times.indexOf(Math.min(...times))]!;
}

/** Workgroups at once, and what a step takes beside its arithmetic, in workgroups of 256 threads: for guesses only. */
const HARDWARE = { busy: 256, latency: 0.5 };
const SOFTWARE = { busy: 4, latency: 0 };

/** In arbitrary units: rounds of workgroups, each as long as its tile takes. */
export function modelTime(tile: Tile, { M, N, count }: ProductShape, software: boolean): number {
  const { busy, latency } = software ? SOFTWARE : HARDWARE;
  const rounds = Math.max(1, (Math.ceil(M / tile.tileM) * Math.ceil(N / tile.tileN) * count) / busy);
  return rounds * workOf(tile) * (threadsOf(tile) / 256 + latency);
}

/** Multiply-adds of a thread and step of the reduction, and what it reads from workgroup memory for them. */
function workOf(tile: Tile): number {
  if (tile.kind === 'plain') return (tile.threadM * tile.threadN + 4 * (tile.threadM + tile.threadN)) * (tile.prefetch ? 0.98 : 1);
  const { tileM, tileN, subgroupsM, subgroupsN } = tile;
  return ((tileM / subgroupsM) * (tileN / subgroupsN) + 8 * (tileM / subgroupsM + tileN / subgroupsN)) / 32;
}
