// Interleaved timing: every contestant of a comparison runs once per round, so that a slow moment of the machine hits all
// of them. It knows nothing of tensors; what is measured is in the other files.

export interface Contestant {
  readonly name: string;
  /** Does the work once and resolves when it is really done: lazy work must be forced inside. */
  run(): Promise<void>;
  /** Work in another process times itself: the milliseconds of `loops` runs, without what asking for them takes. */
  time?(loops: number): Promise<number>;
}

export interface MeasureOptions {
  /** Rounds after the warm-up. */
  readonly repeat: number;
  /** A sample repeats short work until it lasts about this long, in ms. */
  readonly sampleMs: number;
}

/** Milliseconds of one run, by round. */
export interface Timing {
  readonly min: number;
  readonly median: number;
  readonly samples: readonly number[];
}

export interface Ratio {
  /** Shortest time / shortest time: the least disturbed. */
  readonly min: number;
  /** Median over the rounds of the ratio within a round. */
  readonly median: number;
}

const MAX_LOOPS = 1000;

/**
 * Times all contestants, in their order. The order of running rotates from round to round. A turn begins with a run off the clock: while the others
 * have the processor a contestant's threads sleep and its caches go cold, and others' threads may still spin for a while.
 */
export async function measureInterleaved(contestants: readonly Contestant[], { repeat, sampleMs }: MeasureOptions): Promise<Timing[]> {
  const loops: number[] = [];
  for (const contestant of contestants) loops.push(await warmUp(contestant, sampleMs));
  const samples: number[][] = contestants.map(() => []);
  for (let round = 0; round < repeat; round++) {
    for (let turn = 0; turn < contestants.length; turn++) {
      const index = (round + turn) % contestants.length;
      collectGarbage();
      await contestants[index].run();
      samples[index].push(await time(contestants[index], loops[index]));
    }
  }
  return samples.map((all) => ({ min: Math.min(...all), median: median(all), samples: all }));
}

/** Runs once to compile, and once more to see how many runs fill a sample. */
async function warmUp(contestant: Contestant, sampleMs: number): Promise<number> {
  const first = await time(contestant, 1);
  if (first > 4 * sampleMs) return 1; // compilation aside it still fills a sample, or nearly
  const second = await time(contestant, 1);
  return Math.min(MAX_LOOPS, Math.max(1, Math.ceil(sampleMs / Math.max(second, 1e-3))));
}

async function time(contestant: Contestant, loops: number): Promise<number> {
  if (contestant.time) return (await contestant.time(loops)) / loops;
  const start = performance.now();
  for (let i = 0; i < loops; i++) await contestant.run();
  return (performance.now() - start) / loops;
}

/** Outside of the clock, where Node was started with --expose-gc. */
function collectGarbage(): void {
  (globalThis as { gc?: () => void }).gc?.();
}

/** How many times longer `a` takes than `b`, both from one call of {@link measureInterleaved}. */
export function ratioOf(a: Timing, b: Timing): Ratio {
  return { min: a.min / b.min, median: median(a.samples.map((sample, round) => sample / b.samples[round])) };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
