// Replaying training steps: the same numbers to the bit as calling every kernel, whatever the steps are made of, and the same
// memory from step to step. The backends record by calling kernels again; WebGPU's recordings are tested in its package.
import { describe, expect, it } from 'vitest';
import { createCpuBackend, createWasmBackend } from '@xmoe/backend-cpu';
import { add, createEngine, createReplay, multiply, type Backend } from '@xmoe/core';
import { createTfjsBackendFor } from '@xmoe/backend-tfjs/node';
import { createRecordingBackend } from '@xmoe/testing';
import { nativeTensorflow } from '../../backend-tfjs/test/native.js';
import type { Experts } from './tiny-training.js';
import { batchAt, createTinyTrainer } from './tiny-training.js';

const { available, reason } = await nativeTensorflow();
const experts: Experts = { router: { type: 'controlled-threshold', target: 3 }, dispatch: 'budget' };

/** Reports of updates with `accumulation` micro-batches each; routing is collected every third step. */
async function reportsOf(backend: Backend, accumulation: number, steps: number, afterStep?: (step: number, buffers: number) => void, model: Experts = experts) {
  const engine = createEngine(backend);
  const trainer = createTinyTrainer(engine, model);
  const reports = [];
  for (let step = 0; step < steps; step++) {
    const batches = Array.from({ length: accumulation }, (_, index) => batchAt(step * accumulation + index));
    reports.push(await trainer.step(batches, { collectRouting: step % 3 === 0 }));
    afterStep?.(step, engine.memory().buffers);
  }
  const { parameters, optimizer } = await trainer.tensors();
  trainer.dispose();
  engine.dispose();
  return { reports, parameters, optimizer };
}

describe('a trainer on a backend that records', () => {
  it.each([1, 3])('computes the same to the bit, %i micro-batches', async (accumulation) => {
    // Without synchronous reads on both sides: the grouped path then has static shapes.
    const plain = await reportsOf({ ...createCpuBackend(), readSync: undefined }, accumulation, 12);
    const backend = createRecordingBackend(createCpuBackend());
    const buffers: number[] = [];
    const replayed = await reportsOf(backend, accumulation, 12, (_, count) => buffers.push(count));
    expect(replayed).toEqual(plain);
    // Steps 1 and 4 warm up and record with routing, 2 and 3 without: 7 to 12 are replayed, and so are 5 and 6.
    expect(backend.calls.replayed).toBeGreaterThan(backend.calls.host);
    expect(new Set(buffers.slice(4)).size).toBe(1);
  });

  it('computes the same to the bit on the compiled engine, which records by itself', async () => {
    const budget = await reportsOf({ ...(await createWasmBackend({ threads: 2 })), record: undefined }, 2, 10);
    const own = await createWasmBackend({ threads: 2 });
    const bytes: number[] = [];
    let recorded = 0;
    const record: Backend['record'] = (fn) => {
      recorded++;
      return own.record!(fn);
    };
    expect(await reportsOf({ ...own, record }, 2, 10, () => bytes.push(own.memory().bytes))).toEqual(budget);
    expect(recorded).toBe(8); // two micro-batches, twice, with and without routing
    expect(new Set(bytes.slice(4)).size).toBe(1);
  });
});

// TensorFlow runs a step as one graph then, and may put operations together: what it does with these leaves every bit.
describe.skipIf(!available)(`a trainer on ${reason}`, () => {
  const cases: { accumulation: number; model: Experts; products?: 'bfloat16' }[] = [
    { accumulation: 1, model: experts },
    { accumulation: 3, model: experts },
    { accumulation: 2, model: { router: { type: 'topk', k: 2 }, dispatch: 'padded' } },
    { accumulation: 1, model: null },
    { accumulation: 2, model: experts, products: 'bfloat16' },
  ];
  it.each(cases)('computes the same to the bit from graphs: $accumulation micro-batches, $model, products in $products', async ({ accumulation, model, products }) => {
    const open = () => createTfjsBackendFor('node', products ? { products } : {});
    const plain = await reportsOf({ ...(await open()), record: undefined }, accumulation, 10, undefined, model);
    const own = await open();
    const kinds: string[] = [];
    const record: Backend['record'] = (fn) => {
      const recording = own.record!(fn);
      kinds.push('refused' in recording ? recording.refused : 'recorded');
      return recording;
    };
    expect(await reportsOf({ ...own, record }, accumulation, 10, undefined, model)).toEqual(plain);
    expect(kinds).toEqual(Array.from({ length: 4 * accumulation }, () => 'recorded')); // twice, with and without routing
  });

  it('runs steps in full where the host reads in them', async () => {
    const model: Experts = { router: { type: 'topk', k: 2 }, dispatch: 'grouped' };
    const plain = await reportsOf({ ...(await createTfjsBackendFor('node')), record: undefined }, 1, 5, undefined, model);
    expect(await reportsOf(await createTfjsBackendFor('node'), 1, 5, undefined, model)).toEqual(plain);
  });
});

it('a trainer lets the backend tune after the first step of a kind, before the one whose recording is kept', async () => {
  const events: string[] = [];
  const recording = createRecordingBackend(createCpuBackend());
  const backend: Backend = {
    ...recording,
    record: (fn) => {
      events.push('record');
      return recording.record!(fn);
    },
    tune: async () => {
      events.push('tune');
      return { measured: 0, left: 0 };
    },
  };
  await reportsOf(backend, 1, 6, (step) => events.push(`step ${step}`));
  // Steps 0 and 3 collect routing.
  expect(events).toEqual(['record', 'tune', 'step 0', 'record', 'tune', 'step 1', 'record', 'step 2', 'record', 'step 3', 'step 4', 'step 5']);
});

describe('createReplay', () => {
  it('replays from the third run of a signature on, and returns tensors that are the caller\'s', async () => {
    const backend = createRecordingBackend(createCpuBackend());
    const engine = createEngine(backend);
    const replay = createReplay(engine);
    const x = engine.tensor([1, 2]);
    const run = async (signature: string): Promise<number[]> => {
      const out = engine.scope(() =>
        replay.run(signature, (segment) => {
          const { doubled, label } = segment(() => ({ doubled: add(x, x), label: 'kept as it is' }));
          expect(label).toBe('kept as it is');
          return segment(() => multiply(add(doubled, 1), doubled));
        }),
      );
      const data = Array.from(await out.data());
      out.dispose();
      return data;
    };
    expect(replay.status('a')).toBe('new');
    expect(await run('a')).toEqual([6, 20]);
    expect(replay.status('a')).toBe('seen');
    expect(await run('a')).toEqual([6, 20]);
    expect(replay.status('a')).toBe('recorded');
    const { host } = backend.calls;
    x.write([3, 5]);
    expect(await run('a')).toEqual([42, 110]);
    expect(backend.calls.host).toBe(host);
    expect(replay.status('b')).toBe('new');
    expect(await run('b')).toEqual([42, 110]);
    replay.dispose();
    expect(engine.memory().buffers).toBe(1); // x
  });

  it('waits for a body between its segments, and keeps nothing of one that fails', async () => {
    const backend = createRecordingBackend(createCpuBackend());
    const engine = createEngine(backend);
    const replay = createReplay(engine);
    const x = engine.tensor([1, 2]);
    const between = engine.tensor([0, 0]);
    const run = (fails = false): Promise<number[]> => replay.run('', async (segment) => {
      const doubled = segment(() => add(x, x));
      between.write((await doubled.data()).map((value) => value + 1));
      doubled.dispose();
      if (fails) throw new Error('in the middle');
      const out = segment(() => multiply(between, between));
      const data = Array.from(await out.data());
      out.dispose();
      return data;
    });
    expect(await run()).toEqual([9, 25]);
    await expect(run(true)).rejects.toThrow('in the middle');
    expect(replay.status('')).toBe('seen');
    expect(await run()).toEqual([9, 25]);
    const { host } = backend.calls;
    x.write([3, 5]);
    expect(await run()).toEqual([49, 121]);
    expect(backend.calls.host).toBe(host);
    replay.dispose();
    expect(engine.memory().buffers).toBe(2);
  });

  it('says why it cannot, and then runs as usual', async () => {
    const engine = createEngine(createRecordingBackend(createCpuBackend()));
    const replay = createReplay(engine);
    const run = async (value: number): Promise<number> => {
      const out = replay.run('', (segment) => segment(() => engine.scope(() => add(engine.tensor([value]), 1))));
      return (await out.data())[0]!;
    };
    for (const value of [1, 2, 3, 4]) expect(await run(value)).toBe(value + 1);
    expect(replay.status('')).toEqual({ refused: 'a tensor is written by the host' });
  });

  it('calls every kernel where the host times them', async () => {
    const engine = createEngine(createRecordingBackend(createCpuBackend()), { profile: true });
    const replay = createReplay(engine);
    engine.profiler!.start();
    for (let time = 0; time < 4; time++) replay.run('', (segment) => segment(() => engine.zeros([3]))).dispose();
    expect(await engine.profiler!.stop()).toMatchObject([{ name: 'fill', calls: 4 }]);
  });

  it('holds a bounded number of recordings', () => {
    const engine = createEngine(createRecordingBackend(createCpuBackend()));
    const replay = createReplay(engine);
    for (let shape = 0; shape < 20; shape++) {
      for (let time = 0; time < 3; time++) replay.run(String(shape), (segment) => segment(() => null));
    }
    expect(Array.from({ length: 20 }, (_, shape) => replay.status(String(shape))).filter((status) => status === 'recorded')).toHaveLength(8);
  });

  it('frees everything when a segment fails', () => {
    const engine = createEngine(createRecordingBackend(createCpuBackend()));
    const replay = createReplay(engine);
    const run = (fails: boolean): void => engine.scope(() => void replay.run('', (segment) => {
      segment(() => engine.zeros([3]));
      segment(() => {
        if (fails) throw new Error('in the middle');
        return null;
      });
    }));
    run(false);
    expect(() => run(true)).toThrow('in the middle');
    expect(engine.memory().buffers).toBe(0);
    expect(replay.status('')).toBe('seen');
  });
});
