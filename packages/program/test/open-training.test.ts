// An open training: what it holds while it is open, in which order it gives that back, and what a failure on the way leaves.
import { existsSync } from 'node:fs';
import { createCpuBackend } from '@xmoe/backend-cpu';
import { trainBpe } from '@xmoe/text';
import { temporaryFolder } from '@xmoe/testing/programs';
import { afterAll, expect, it } from 'vitest';
import { batchSource, tinyTrainer, type HostBatch } from '../../train/test/trainer/tiny-run.js';
import { openTraining } from '../src/open-training.js';
import type { TrainingPlan } from '../src/plan-training.js';
import type { Task, TaskConfig, TaskData, TaskModel } from '../src/task.js';

const inFolder = temporaryFolder(afterAll);
const tokenizer = trainBpe(['a'], { vocabularySize: 257 });
const config: TaskConfig = { train: { steps: 2, seed: 1, precision: 'float32', evalEvery: 2, checkpointEvery: 1, keepCheckpoints: 2, routingEvery: 1 } };
const planOf = (out: string): TrainingPlan<TaskConfig> => ({ config, preset: 'tiny', backend: 'cpu:plain', out, dataRoot: inFolder('data'), debug: 'off', profile: false });

type TinyTask = Task<TaskConfig, TaskData, TaskModel<HostBatch>, HostBatch>;

/** A task whose parts write down what is done with them. */
function taskOf(out: string, changes: Partial<TinyTask> = {}) {
  const log: string[] = [];
  const lock = `${out}/lock`;
  const place = {
    stream: { write: () => true },
    async openBackend() {
      const backend = createCpuBackend();
      const { dispose } = backend;
      return { backend: { ...backend, dispose: () => void (log.push('device'), dispose.call(backend)) }, reason: 'a test' };
    },
  };
  const task: TinyTask = {
    configuration: { program: 'test', resolver: undefined as never, readRecord: () => Promise.reject(new Error('no record')), checkResumable: () => undefined },
    describe: { headline: () => '', title: () => '', dryRun: () => ({ text: '', document: {} }), needs: () => ({ needs: { parameters: 0, activations: 0 }, knobs: [] }) },
    prepare: async () => ({
      dataset: { directory: inFolder('data'), index: { dtype: 'uint16', tokenizer, splits: {} }, close: () => void log.push('data') },
      tokenizer,
    }),
    build(_config, engine) {
      const { trainer } = tinyTrainer({ engine });
      const { dispose } = trainer;
      return { trainer: Object.assign(trainer, { dispose: () => void (log.push(existsSync(lock) ? 'model, still locked' : 'model'), dispose.call(trainer)) }) };
    },
    batches: () => ({ source: batchSource(), accumulation: 1 }),
    validate: () => async () => ({ loss: 1 }),
    finish: async () => ({ text: '', document: {} }),
    ...changes,
  };
  return { task, place, log, lock };
}

it('is locked from its opening to its closing, and gives back what it holds, the last first', async () => {
  const out = inFolder('whole');
  const { task, place, log, lock } = taskOf(out);
  const listeners = process.listenerCount('SIGINT');
  {
    await using run = await openTraining(planOf(out), task, place);
    expect(existsSync(lock)).toBe(true);
    expect(process.listenerCount('SIGINT')).toBe(listeners + 1);
    await expect(openTraining(planOf(out), task, place)).rejects.toThrow('in use');
    log.length = 0;
    expect(await run.train()).toMatchObject({ completed: true, step: 2 });
    expect(log).toEqual([]);
    expect(existsSync(lock)).toBe(true);
  }
  expect(log).toEqual(['model', 'data', 'device']);
  expect(existsSync(lock)).toBe(false);
  expect(process.listenerCount('SIGINT')).toBe(listeners);
});

it('is closed when what is done with it fails, and that failure is the one told', async () => {
  const out = inFolder('failing');
  const { task, place, log, lock } = taskOf(out, { validate: () => () => Promise.reject(new Error('no evaluation')) });
  const work = async (): Promise<void> => {
    await using run = await openTraining(planOf(out), task, place);
    await run.train();
  };
  await expect(work()).rejects.toThrow('no evaluation');
  expect(log).toEqual(['model', 'data', 'device']);
  expect(existsSync(lock)).toBe(false);
});

it('leaves no run directory and no device where the data fail', async () => {
  const out = inFolder('no-data');
  const { task, place, log } = taskOf(out, { prepare: () => Promise.reject(new Error('no data')) });
  await expect(openTraining(planOf(out), task, place)).rejects.toThrow('no data');
  expect(log).toEqual(['device']);
  expect(existsSync(out)).toBe(false);
});

it('goes on to close when closing a part fails', async () => {
  const out = inFolder('stubborn');
  const { task, place, log, lock } = taskOf(out, {
    prepare: async () => ({ dataset: { directory: '', index: { dtype: 'uint16', tokenizer, splits: {} }, close: () => { throw new Error('data stay open'); } }, tokenizer }),
  });
  const run = await openTraining(planOf(out), task, place);
  await expect(run[Symbol.asyncDispose]()).rejects.toThrow('data stay open');
  expect(log).toEqual(['model', 'device']);
  expect(existsSync(lock)).toBe(false);
});

it('refuses a run that is there before anything is opened', async () => {
  const out = inFolder('whole');
  const { task, place, log } = taskOf(out);
  await expect(openTraining(planOf(out), task, place)).rejects.toThrow('holds a run already');
  expect(log).toEqual([]);
});

it('a change of backend or of its library is said when a run goes on', async () => {
  const out = inFolder('exchanged');
  const { task } = taskOf(out);
  const messages: string[] = [];
  const session = async (library: string | undefined, stopAfter?: number): Promise<void> => {
    const plan = planOf(out);
    const resumed = stopAfter === undefined ? { preset: 'tiny', backend: 'cpu:native', data: inFolder('data'), config } : undefined;
    const openBackend = async () => ({ backend: { ...createCpuBackend(), name: 'cpu:native', library }, reason: 'a test' });
    await using run = await openTraining({ ...plan, stopAfter, resumed }, task, { openBackend, stream: { write: (text) => messages.push(text) > 0 } });
    await run.train();
  };
  const said = (): string | undefined => messages.splice(0).find((text) => text.includes('bit for bit'));
  await session('OpenBLAS 0.3.30 (Zen kernels)', 1);
  expect(said()).toBeUndefined();
  await session('OpenBLAS 0.3.34 (SkylakeX kernels)');
  expect(said()).toBe('The run was trained on cpu:native with OpenBLAS 0.3.30 (Zen kernels) so far: it goes on with OpenBLAS 0.3.34 (SkylakeX kernels), but not bit for bit\n');
});
