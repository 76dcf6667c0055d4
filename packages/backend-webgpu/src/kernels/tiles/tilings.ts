// Which tile a product gets: what was measured for its class of shapes, else a guess from its sizes. Measuring is elsewhere.
import type { DeviceTraits } from '../../device/traits.js';
import { tileConfigs, tileName, threadsOf, type TileConfig } from './tile-config.js';

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
  pick(shape: ProductShape): TileConfig;
  /** All that the device can run. */
  readonly candidates: readonly TileConfig[];
  /** Measured choices by class. */
  readonly chosen: Map<string, TileConfig>;
  /** Classes that were asked for and not measured, with the first shape of each. */
  readonly wanted: Map<string, ProductShape>;
  /** Every product gets this one until it is undefined again. */
  forced: TileConfig | undefined;
}

/** So many classes are remembered as wanted. */
const MOST_WANTED = 256;

export function createTilings(traits: DeviceTraits): Tilings {
  const candidates = tileConfigs(traits);
  const guesses = new Map<string, TileConfig>();
  const tilings: Tilings = {
    candidates,
    chosen: new Map(),
    wanted: new Map(),
    forced: undefined,
    pick(shape) {
      if (tilings.forced) return tilings.forced;
      const key = classOf(shape);
      const known = tilings.chosen.get(key) ?? guesses.get(key);
      if (known) return known;
      const guess = guessTile(candidates, shape, traits.software);
      guesses.set(key, guess);
      if (tilings.wanted.size < MOST_WANTED) tilings.wanted.set(key, shape);
      return guess;
    },
  };
  return tilings;
}

/** Sizes to the next power of two: shapes of one class share a choice. */
export function classOf({ kind, half, layout, M, N, K, count }: ProductShape): string {
  const bucket = (size: number): number => Math.ceil(Math.log2(Math.max(1, size)));
  return [kind, half ? 'float16' : 'float32', layout, bucket(M), bucket(N), bucket(K), bucket(count)].join(' ');
}

/** Workgroups at once, and what a step takes beside its arithmetic, in workgroups of 256 threads: for guesses only. */
const HARDWARE = { busy: 256, latency: 0.5 };
const SOFTWARE = { busy: 4, latency: 0 };

/** The least time by a crude model: rounds of workgroups, each as long as its tile takes. */
export function guessTile(candidates: readonly TileConfig[], shape: ProductShape, software: boolean): TileConfig {
  const machine = software ? SOFTWARE : HARDWARE;
  const times = candidates.map((config) => modelTime(config, shape, machine));
  return candidates[times.indexOf(Math.min(...times))]!;
}

function modelTime(config: TileConfig, { M, N, count }: ProductShape, { busy, latency }: { busy: number; latency: number }): number {
  const { tileM, tileN, threadM, threadN } = config;
  const rounds = Math.max(1, (Math.ceil(M / tileM) * Math.ceil(N / tileN) * count) / busy);
  // Multiply-adds of a thread and step, and what it reads from workgroup memory for them.
  const work = threadM * threadN + 4 * (threadM + threadN);
  return rounds * work * (threadsOf(config) / 256 + latency) * (config.prefetch ? 0.98 : 1);
}

/** A tile by its name, if the device can run it. */
export function tileByName(candidates: readonly TileConfig[], name: string): TileConfig | undefined {
  return candidates.find((config) => tileName(config) === name);
}
