// Choosing tiles by measuring: what is measured, remembered, and ignored when it is damaged. Not which tile is fastest.
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import manifest from '../package.json' with { type: 'json' };
import { createWebGpuBackend, type WebGpuBackend } from '../src/index.js';
import { tileName } from '../src/kernels/tiles/tile-config.js';
import { classOf, createTilings, type ProductShape } from '../src/kernels/tiles/tilings.js';
import { createChoiceStore } from '../src/tuning/choice-store.js';
import { tune, type TunedBackend } from '../src/tuning/tune.js';
import { webGpuAdapter } from './adapter.js';
import { EMULATED_TILE } from './emulated-matrices.js';

const SHAPES: readonly ProductShape[] = [
  { kind: 'matmul', half: false, layout: 'oi', M: 20, N: 24, K: 16, count: 2 },
  { kind: 'linear', half: false, layout: 'oi', M: 12, N: 16, K: 8, count: 3 },
  { kind: 'weight-grad', half: false, layout: 'ii', M: 12, N: 16, K: 8, count: 3 },
];

let directory: string;
beforeEach(async () => {
  if (directory) await rm(directory, { recursive: true });
  directory = await mkdtemp(join(tmpdir(), 'xmoe-tuning-'));
  process.env.XMOE_CACHE_DIR = directory;
});
afterAll(async () => {
  delete process.env.XMOE_CACHE_DIR;
  await rm(directory, { recursive: true, force: true });
});

describe('the store of choices', () => {
  it('adds to what is there, for one adapter, in one whole file', async () => {
    const store = createChoiceStore('Adapter (one) 1.0');
    expect(await store.load()).toEqual({});
    await store.save({ 'matmul a': 'x' });
    await createChoiceStore('Adapter (one) 1.0').save({ 'matmul b': 'y' });
    expect(await store.load()).toEqual({ 'matmul a': 'x', 'matmul b': 'y' });
    expect(await readdir(directory)).toEqual(['webgpu-tiles-adapter-one-1-0.json']);
    // Another adapter of the same file name is not taken for this one.
    expect(await createChoiceStore('adapter one 1.0').load()).toEqual({});
  });

  it('takes a damaged, foreign or older file for an empty one', async () => {
    const store = createChoiceStore('adapter');
    const file = join(directory, 'webgpu-tiles-adapter.json');
    const whole = { adapter: 'adapter', version: manifest.version, choices: { good: 'x', bad: 7 } };
    await writeFile(file, JSON.stringify(whole));
    expect(await store.load()).toEqual({ good: 'x' });
    for (const text of ['', '{', 'null', '[]', JSON.stringify({ ...whole, version: '0.0.1' }), JSON.stringify({ ...whole, choices: null }), JSON.stringify(whole).slice(0, -9)]) {
      await writeFile(file, text);
      expect(await store.load(), text).toEqual({});
    }
    await store.save({ a: 'b' });
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual({ adapter: 'adapter', version: manifest.version, choices: { a: 'b' } });
  });

  it('does without a directory that cannot be written', async () => {
    process.env.XMOE_CACHE_DIR = join(directory, 'file', 'below');
    await writeFile(join(directory, 'file'), '');
    const store = createChoiceStore('adapter');
    await store.save({ a: 'b' });
    expect(await store.load()).toEqual({});
  });
});

/** Enough of a backend to be measured: a product takes its tile's time, and a clock that browsers round tells it. */
function roundedClock(traits: TunedBackend['traits'], timeOf: (tile: string) => number, rounding: number): TunedBackend {
  const tilings = createTilings(traits);
  let clock = 0;
  let sum = 0;
  const rounded = (): number => Math.floor(clock / rounding) * rounding;
  const kernels = {
    fill: () => undefined,
    random: () => undefined,
    matmul() {
      clock += 0.0137; // between two launches
      const began = rounded();
      clock += timeOf(tileName(tilings.forced!));
      sum += rounded() - began;
    },
  };
  return {
    traits, tilings, kernels: kernels as unknown as TunedBackend['kernels'],
    allocate: () => ({}), free: () => undefined, write: () => undefined, read: () => Promise.resolve(new Float32Array(1)),
    compile: () => Promise.resolve(undefined),
    profiler: {
      start: () => (sum = 0),
      stop: () => Promise.resolve([{ name: 'matmul', calls: 1, milliseconds: sum }]),
    },
  } as unknown as TunedBackend;
}

describe('measuring', () => {
  const traits = {
    software: false, float16: false, subgroups: false, subgroupMinSize: 1, subgroupMaxSize: 1, subgroupMatrix: [], timestamps: true,
    workgroupMemoryBytes: 49152, maxInvocations: 1024, maxGroupsPerDimension: 65535,
  } as unknown as TunedBackend['traits'];
  const shape: ProductShape = { kind: 'matmul', half: false, layout: 'oi', M: 256, N: 256, K: 64, count: 1 };

  it.each([1e-6, 0.1])('finds the fastest of short products by a clock of %f milliseconds', async (rounding) => {
    // In the order in which they are tried, the fourth is the fastest: 20 µs instead of 40 and more.
    const order: string[] = [];
    const backend = roundedClock(traits, (tile) => {
      if (!order.includes(tile)) order.push(tile);
      return order.indexOf(tile) === 3 ? 0.0213 : 0.0391 + 0.01 * order.indexOf(tile);
    }, rounding);
    await tune(backend, [shape], 1000);
    expect(order).toHaveLength(6);
    expect(backend.tilings.chosen.get(classOf(shape))).toBe(order[3]);
  });

  it('measures again where the remembered tile is none that the product can have', async () => {
    const backend = roundedClock(traits, () => 1, 0.1);
    backend.tilings.chosen.set(classOf(shape), '128x128x32/4x2 of 16x16x16');
    expect(await tune(backend, [shape], 1000)).toEqual({ measured: 1, left: 0 });
    expect(backend.tilings.isMeasured(shape)).toBe(true);
  });

  it('of halves leaves float32 products of the same time alone', () => {
    const tilings = createTilings({ ...traits, float16: true });
    tilings.forced = EMULATED_TILE;
    expect(tilings.pick({ ...shape, half: true })).toBe(EMULATED_TILE);
    expect(tilings.pick(shape).kind).toBe('plain');
  });
});

const { available, reason } = await webGpuAdapter();

describe.skipIf(!available)(`on ${reason}`, () => {
  async function withBackend<T>(options: Parameters<typeof createWebGpuBackend>[0], body: (backend: WebGpuBackend) => Promise<T>): Promise<T> {
    const backend = await createWebGpuBackend(options);
    try {
      return await body(backend);
    } finally {
      backend.dispose();
    }
  }

  function multiply(backend: WebGpuBackend): void {
    const make = (...shape: number[]) => ({ buffer: backend.allocate('float32', shape.reduce((x, y) => x * y, 1)), shape, dtype: 'float32' as const });
    backend.kernels.matmul({ a: make(1, 5, 8), b: make(1, 8, 16) }, { out: make(1, 5, 16) }, { transposeA: false, transposeB: false });
  }

  for (const timestamps of [true, false]) {
    it(`measures products with ${timestamps ? 'timestamps' : 'the clock of the host'}`, async () => {
      await withBackend({ tuning: 'off', traits: timestamps ? {} : { timestamps } }, async (backend) => {
        const bytes = backend.memory().bytes;
        const shapes = timestamps ? SHAPES : SHAPES.slice(1, 2); // a program takes a second to compile here
        expect(await tune(backend, shapes, 60_000)).toEqual({ measured: shapes.length, left: 0 });
        for (const shape of shapes) {
          const names = backend.tilings.candidates(shape).map(tileName);
          expect(names).toContain(backend.tilings.chosen.get(classOf(shape)));
        }
        expect(await tune(backend, shapes, 60_000)).toEqual({ measured: 0, left: 0 });
        expect(backend.tilings.forced).toBe(undefined);
        expect(backend.memory().bytes - bytes).toBeLessThan(2 ** 20); // pools keep a little
      });
    });
  }

  it('stops when the time is over', async () => {
    await withBackend({ tuning: 'off' }, async (backend) => {
      expect(await tune(backend, SHAPES, 0)).toEqual({ measured: 0, left: 3 });
      expect(backend.tilings.chosen.size).toBe(0);
    });
  });

  it('measures what was asked for, on request, and another process knows it', async () => {
    const options = { tuning: 'force' } as const;
    const chosen = await withBackend(options, async (backend) => {
      multiply(backend);
      expect(backend.tilings.wanted.size).toBe(1);
      if (backend.profiler) {
        backend.profiler.start();
        expect(await backend.tune()).toEqual({ measured: 0, left: 1 });
        await backend.profiler.stop();
      }
      // Of two at once, the second leaves it to the first.
      const reports = await Promise.all([backend.tune({ milliseconds: 60_000 }), backend.tune()]);
      expect(reports).toEqual([{ measured: 1, left: 0 }, { measured: 0, left: 1 }]);
      expect(backend.tilings.forced).toBe(undefined);
      return new Map(backend.tilings.chosen);
    });
    expect(chosen.get('matmul float32 oi 3 4 3 0')).toBeDefined();
    await withBackend(options, async (backend) => {
      for (const [key, name] of chosen) expect(backend.tilings.chosen.get(key)).toBe(name);
    });
  });

  it('does nothing by itself on a software adapter, nor when it is off', async () => {
    const software = { traits: { software: true } };
    for (const options of [software, { ...software, tuning: 'off' as const }]) {
      await withBackend(options, async (backend) => {
        multiply(backend);
        expect(await backend.tune()).toEqual({ measured: 0, left: 0 });
        expect([...backend.tilings.chosen]).toEqual([]);
      });
    }
    expect(await readdir(directory)).toEqual([]);
  });

  it('takes the choice of a near class, never a name that it does not know', async () => {
    await withBackend({ tuning: 'off' }, async ({ traits }) => {
      const tilings = createTilings({ ...traits, software: false });
      const shape: ProductShape = { kind: 'matmul', half: false, layout: 'oi', M: 1024, N: 1024, K: 1024, count: 1 };
      const guess = tileName(tilings.pick(shape));
      const other = tilings.candidates(shape).map(tileName).find((name) => name !== guess)!;
      tilings.chosen.set(classOf(shape), 'no such tile');
      expect(tileName(tilings.pick(shape))).toBe(guess);
      tilings.chosen.set(classOf({ ...shape, M: 2048, K: 4096 }), other);
      expect(tileName(tilings.pick({ ...shape, K: 2048 }))).toBe(other);
      expect(tileName(tilings.pick({ ...shape, layout: 'oo' }))).not.toBe('no such tile');
      const far = { ...shape, M: 16, N: 16 };
      expect(tileName(tilings.pick(far))).toBe(tileName(createTilings({ ...traits, software: false }).pick(far)));
    });
  });
});
