// Measures which tile suits which class of matrix products on this device. Only here does anything wait for the device: kernels look
// up what was measured. All candidates give the same bits, so measuring changes no result.
import { sizeOf, type Backend, type DType, type Operand, type TuneReport } from '@xmoe/core';
import type { DeviceTraits } from '../device/traits.js';
import type { Tile } from '../kernels/tiles/tile-config.js';
import { tileName } from '../kernels/tiles/tile-config.js';
import { classOf, modelTime, type ProductShape, type Tilings } from '../kernels/tiles/tilings.js';

/** The part of a backend that is measured. */
export interface TunedBackend extends Pick<Backend, 'kernels' | 'allocate' | 'free' | 'write' | 'read' | 'profiler'> {
  compile(work: () => void): Promise<string | undefined>;
  readonly traits: DeviceTraits;
  readonly tilings: Tilings;
}

/** Candidates of a class, best guesses first: the rest are not worth their compilation. */
const MOST_CANDIDATES = 6;

/** Measures the classes of `shapes` that are not known yet, in order, and begins none after `milliseconds`. */
export async function tune(backend: TunedBackend, shapes: readonly ProductShape[], milliseconds: number): Promise<TuneReport> {
  const { tilings } = backend;
  const deadline = performance.now() + milliseconds;
  let measured = 0;
  const unknown = shapes.filter((shape) => !tilings.isMeasured(shape));
  for (const shape of unknown) {
    if (performance.now() >= deadline) break;
    tilings.chosen.set(classOf(shape), tileName(await fastest(backend, shape)));
    tilings.wanted.delete(classOf(shape));
    measured++;
  }
  return { measured, left: unknown.length - measured };
}

async function fastest(backend: TunedBackend, shape: ProductShape): Promise<Tile> {
  const { tilings, traits } = backend;
  const guess = (tile: Tile): number => modelTime(tile, shape, traits.software);
  const candidates = [...tilings.candidates(shape)].sort((a, b) => guess(a) - guess(b)).slice(0, MOST_CANDIDATES);
  const trial = prepareTrial(backend, shape);
  const previous = tilings.forced;
  let best = candidates[0]!;
  let least = Infinity;
  try {
    await backend.compile(() => {
      for (const tile of candidates) {
        tilings.forced = tile;
        trial.run();
      }
    });
    for (const tile of candidates) {
      tilings.forced = tile;
      await timeOf(backend, trial, 1); // warms up
      const time = await bestTime(backend, trial);
      if (time < least) [best, least] = [tile, time];
    }
    return best;
  } finally {
    tilings.forced = previous;
    trial.end();
  }
}

/** One product of a class on operands of its own. */
interface Trial {
  run(): void;
  /** One of its results, small enough to wait for. */
  readonly probe: Operand;
  end(): void;
}

/** Milliseconds that a measurement takes at least: browsers round timestamps to 0.1; the host's clock counts the wait for a result, too. */
const ENOUGH = { device: 5, host: 20 };
const MOST_RUNS = 256;

/** Milliseconds per run, of as many runs as a time worth comparing takes, the better of two such times. */
async function bestTime(backend: TunedBackend, trial: Trial): Promise<number> {
  const enough = backend.profiler ? ENOUGH.device : ENOUGH.host;
  let runs = 1;
  let time = await timeOf(backend, trial, runs);
  while (time * runs < enough && runs < MOST_RUNS) {
    runs *= 4;
    time = await timeOf(backend, trial, runs);
  }
  return Math.min(time, await timeOf(backend, trial, runs));
}

/** Milliseconds per run: the device's own clock where there is one. */
async function timeOf(backend: TunedBackend, { run, probe }: Trial, repeats: number): Promise<number> {
  const { profiler } = backend;
  const began = performance.now();
  profiler?.start();
  for (let i = 0; i < repeats; i++) run();
  if (!profiler) {
    await backend.read(probe);
    return (performance.now() - began) / repeats;
  }
  const times = await profiler.stop();
  return times.reduce((sum, { milliseconds }) => sum + milliseconds, 0) / repeats;
}

/** So many elements per operand at most: larger products are measured on fewer rows or columns. */
const MOST_ELEMENTS = 2 ** 26;

function prepareTrial(backend: TunedBackend, { kind, half, layout, M: wantedM, N, K, count: wantedCount }: ProductShape): Trial {
  const count = Math.max(1, Math.min(wantedCount, Math.floor(MOST_ELEMENTS / Math.max(1, N * K))));
  const M = Math.max(1, Math.min(wantedM, Math.floor(MOST_ELEMENTS / (count * Math.max(1, N, K)))));
  const dtype: DType = half ? 'float16' : 'float32';
  const made: Operand[] = [];
  const make = (type: DType, shape: readonly number[]): Operand => {
    const operand = { buffer: backend.allocate(type, sizeOf(shape)), shape, dtype: type };
    made.push(operand);
    return operand;
  };
  const key = make('uint32', [2]);
  backend.write(key, [1, 2]);
  // Constants would be kinder to the device than what it multiplies later: fewer bits change, and clocks stay higher.
  const random = (shape: readonly number[]): Operand => {
    const operand = make(dtype, shape);
    const drawn = half ? make('float32', shape) : operand;
    backend.kernels.random({ key }, { out: drawn }, { stream: made.length });
    if (half) {
      backend.kernels.cast({ x: drawn }, { out: operand });
      backend.free(made.pop()!.buffer);
    }
    return operand;
  };
  const offsets = (step: number): Operand => {
    const operand = make('int32', [count + 1]);
    backend.write(operand, Array.from({ length: count + 1 }, (_, g) => g * step));
    return operand;
  };
  const end = (): void => made.forEach(({ buffer }) => backend.free(buffer));
  const probe = make('float32', [1]);
  backend.kernels.fill({}, { out: probe }, { value: 0 });
  if (kind === 'matmul') {
    const [transposeA, transposeB] = [layout[0] === 'i', layout[1] === 'o'];
    const a = random(transposeA ? [count, K, M] : [count, M, K]);
    const b = random(transposeB ? [count, N, K] : [count, K, N]);
    const out = make(dtype, [count, M, N]);
    return { run: () => backend.kernels.matmul({ a, b }, { out }, { transposeA, transposeB }), probe, end };
  }
  if (kind === 'linear') {
    const [x, w, bounds] = [random([count * M, K]), random(layout === 'oo' ? [count, N, K] : [count, K, N]), offsets(M)];
    const out = make(dtype, [count * M, N]);
    return { run: () => backend.kernels.groupedMatmul({ x, w, offsets: bounds }, { out }, { transposeW: layout === 'oo' }), probe, end };
  }
  const [x, dy, bounds] = [random([count * K, M]), random([count * K, N]), offsets(K)];
  const out = make('float32', [count, M, N]);
  return { run: () => backend.kernels.groupedMatmulWeightGrad({ x, dy, offsets: bounds }, { out }), probe, end };
}
