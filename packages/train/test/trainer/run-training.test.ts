// The loop: cadence, totals, stopping at any moment, resuming bit for bit, and a run that diverges.
import { readdirSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createCheckpointStore } from '../../src/checkpoint/store.js';
import { createStopSignal } from '../../src/lifecycle/stop-signal.js';
import { readMetrics } from '../../src/metrics/metrics-log.js';
import type { MetricsRow } from '../../src/metrics/rows.js';
import { runDirectory } from './run-directory.js';
import { batchSource, runTiny, type HostBatch, type RunOverrides, type Stop } from './tiny-run.js';

const store = (directory: string) => createCheckpointStore({ directory: join(directory, 'checkpoints'), keepLast: 10 });
const savedSteps = async (directory: string): Promise<number[]> => (await store(directory).list()).map(({ step }) => step);
const rowsOf = (directory: string, kind: MetricsRow['kind']): MetricsRow[] => readMetrics(join(directory, 'metrics.jsonl')).filter((row) => row.kind === kind);
const stepsOf = (directory: string, kind: MetricsRow['kind']): number[] => rowsOf(directory, kind).map(({ step }) => step);
/** Rows without what a clock says. */
const timeless = (directory: string) =>
  readMetrics(join(directory, 'metrics.jsonl')).map((row) => ({ ...row, seconds: undefined, tokensPerSecond: undefined }));

/** Batches that call `before(n)` ahead of giving out batch n (0-based, over all sessions). */
function watchedBatches(before: (index: number) => unknown) {
  const source = batchSource();
  return { ...source, next: (): HostBatch => (before(source.state().index as number), source.next()) };
}

const stopNow = (stop: Stop): void => void Object.assign(stop, { requested: true, reason: 'SIGINT' });

describe('a whole run', () => {
  it('trains, evaluates, saves and reports at the steps it was asked to', async () => {
    const directory = runDirectory();
    const { outcome, evaluations } = await runTiny({ directory });
    expect(outcome).toMatchObject({ completed: true, step: 12, targets: 12 * 12 });
    expect(evaluations).toEqual([4, 8, 12]);
    expect(await savedSteps(directory)).toEqual([3, 6, 9, 12]);
    expect(stepsOf(directory, 'step')).toEqual(Array.from({ length: 12 }, (_, index) => index + 1));
    expect(stepsOf(directory, 'evaluation')).toEqual([4, 8, 12]);
    expect(stepsOf(directory, 'routing')).toEqual([1, 5, 10, 12]);
    expect(readdirSync(join(directory, 'tensorboard')).length).toBeGreaterThan(0);
    // Only a checkpoint that follows an evaluation has its metric.
    expect((await store(directory).list()).map(({ metric }) => metric)).toEqual([null, null, null, 3 - 12 / 10]);
    expect((await store(directory).load((await store(directory).list())[3]!.path)).state).toMatchObject({ saved: { name: 'tiny' }, trainer: { step: 12 } });
    expect(await readdir(join(directory, 'checkpoints', 'step-00000012'))).toContain('tokenizer.json');
  });

  it('counts FLOPs: a step that collects routing stands for those since the one before', async () => {
    const { outcome } = await runTiny({ directory: runDirectory(), tiny: { flops: (step) => step } });
    // 1 for step 1, 5 for steps 2 to 5, 10 for steps 6 to 10, 12 for steps 11 and 12.
    const expected = 1 * 1 + 4 * 5 + 5 * 10 + 2 * 12;
    expect([outcome.executedFlops, outcome.budgetedFlops]).toEqual([expected, 2 * expected]);
    expect(outcome.routing.map(({ layer, summary }) => [layer, summary.executedFlops])).toEqual([['h.1', 12]]);
  });

  it('takes the time of training steps only, of all sessions for the run and of this one for the throughput', async () => {
    const directory = runDirectory();
    const slowly = { evaluate: async () => (await new Promise((resolve) => setTimeout(resolve, 60)), { loss: 1 }) };
    const first = (await runTiny({ directory, ...slowly, stopAfter: 4 })).outcome;
    const second = (await runTiny({ directory, ...slowly, resume: true })).outcome;
    const seconds = rowsOf(directory, 'step').map((row) => (row.kind === 'step' ? row.seconds : 0));
    const sum = (values: number[]): number => values.reduce((total, value) => total + value, 0);
    expect(second.seconds).toBeCloseTo(sum(seconds), 9);
    expect(second.processorSeconds).toBeGreaterThan(first.processorSeconds);
    expect(first.targetsPerSecond).toBeCloseTo((4 * 12) / sum(seconds.slice(0, 4)), 6);
    expect(second.targetsPerSecond).toBeCloseTo((8 * 12) / sum(seconds.slice(4)), 6);
    // The pause of the evaluation after step 8 is not in the tokens per second of step 9.
    const ninth = rowsOf(directory, 'step')[8]!;
    expect(ninth).toMatchObject({ step: 9 });
    if (ninth.kind === 'step') expect(ninth.tokensPerSecond).toBeCloseTo((5 * 12) / sum(seconds.slice(4, 9)), 6);
  });

  it('a dense model has no routing to report, and accumulation takes as many batches as asked', async () => {
    const directory = runDirectory();
    const taken: number[] = [];
    const { outcome } = await runTiny({ directory, tiny: { dispatch: null }, accumulation: 3, totalSteps: 2, batches: watchedBatches((index) => taken.push(index)) });
    expect(outcome).toMatchObject({ completed: true, routing: [], budgetedFlops: 0, executedFlops: 0, targets: 2 * 3 * 12 });
    expect(taken).toEqual([0, 1, 2, 3, 4, 5]);
    expect(stepsOf(directory, 'routing')).toEqual([]);
  });

  it('accumulates until there is enough', async () => {
    const directory = runDirectory();
    const { outcome } = await runTiny({ directory, totalSteps: 3, accumulation: (taken) => taken.reduce((sum, { targets }) => sum + targets.length, 0) >= 30 });
    expect(outcome.targets).toBe(3 * 3 * 12); // three of 12 targets each reach 30
  });
});

describe('the best checkpoint', () => {
  const byStep = (metrics: Record<number, number>) => async (step: number) => ({ loss: 1, scores: { bleu: -metrics[step]! }, metric: metrics[step]! });
  /** 20 steps, an evaluation every 2. */
  const run = (directory: string, metrics: Record<number, number>, more: Partial<RunOverrides> = {}) => {
    let step = 0;
    const batches = batchSource();
    return runTiny({
      directory, totalSteps: 20, evaluateEvery: 2, checkpointEvery: 100, keepCheckpoints: 1, saveBest: true,
      batches: { ...batches, next: () => (step = (batches.state().index as number) + 1, batches.next()) }, evaluate: () => byStep(metrics)(step), ...more,
    });
  };
  const metrics = { 2: 5, 4: 3, 6: 4, 8: 2, 10: 2, 12: 9, 14: 8, 16: 1, 18: 7, 20: 7 };

  it('is saved where it was measured, and kept', async () => {
    const directory = runDirectory();
    const { outcome, messages } = await run(directory, metrics);
    expect(outcome).toMatchObject({ completed: true, stoppedEarly: false, step: 20 });
    expect(await store(directory).list()).toMatchObject([{ step: 16, metric: 1 }, { step: 20, metric: 7 }]);
    expect(messages.join('')).toContain('step 16: validation loss 1.0000, bleu -1.00');
  });

  it('patience ends the run after so many evaluations without a better one, saved and completed, also when it was interrupted', async () => {
    const whole = runDirectory();
    const { outcome, weights } = await run(whole, metrics, { patience: 3 });
    expect(outcome).toMatchObject({ completed: true, stoppedEarly: true, step: 14 });
    expect(await store(whole).list()).toMatchObject([{ step: 8, metric: 2 }, { step: 14, metric: 8 }]);
    const directory = runDirectory();
    await run(directory, metrics, { patience: 3, stopAfter: 11 });
    const resumed = await run(directory, metrics, { patience: 3, resume: true });
    expect(resumed.outcome).toMatchObject({ completed: true, stoppedEarly: true, step: 14 });
    expect(resumed.weights).toEqual(weights);
    expect(timeless(directory)).toEqual(timeless(whole));
    const again = await run(directory, metrics, { patience: 3, resume: true });
    expect(again.outcome).toMatchObject({ completed: true, stoppedEarly: true, step: 14 });
    expect(await savedSteps(directory)).toEqual([8, 14]);
  });

  it('is never one without a number', async () => {
    const directory = runDirectory();
    const { outcome } = await run(directory, { ...metrics, 2: Number.NaN, 4: Number.NaN }, { patience: 2 });
    expect(outcome.step).toBe(4);
    expect((await store(directory).list()).map(({ metric }) => metric)).toEqual([null]);
  });
});

describe('stopping', () => {
  it.each([
    ['before the first step', 0], ['in a step', 5], ['in a step that is evaluated and not saved', 8], ['in a step that is saved and not evaluated', 9], ['in the last step', 12],
  ])('by a signal %s leaves a checkpoint of the last completed step; resumed, the run ends as if it had not been stopped', async (_, step) => {
    const whole = runDirectory();
    const uninterrupted = await runTiny({ directory: whole });
    const directory = runDirectory();
    const stop: Stop = { requested: step === 0, reason: 'SIGINT' };
    const stopped = await runTiny({ directory, stop, batches: watchedBatches((index) => index === step - 1 && stopNow(stop)) });
    expect(stopped.outcome).toMatchObject({ completed: false, step });
    expect((await savedSteps(directory)).at(-1)).toBe(step);
    expect(new Set(await savedSteps(directory)).size).toBe((await savedSteps(directory)).length);
    expect(stopped.messages.join('')).toContain(`stopped by SIGINT at step ${step}; saved, go on with --resume`);
    expect(stopped.evaluations).toEqual([4, 8].filter((at) => at < step)); // no time for one more

    const resumed = await runTiny({ directory, resume: true });
    expect(resumed.weights).toEqual(uninterrupted.weights);
    expect([...stopped.evaluations, ...resumed.evaluations]).toEqual([4, 8, 12]);
    expect(timeless(directory)).toEqual(timeless(whole));
    const { seconds: _s, processorSeconds: _p, targetsPerSecond: _t, ...numbers } = resumed.outcome;
    expect(numbers).toEqual((({ seconds: _a, processorSeconds: _c, targetsPerSecond: _b, ...rest }) => rest)(uninterrupted.outcome));
    expect((await store(directory).list()).at(-1)).toMatchObject({ step: 12, metric: 3 - 12 / 10 });
  });

  it('by a real signal happens at the next step, though nothing but training goes on', async () => {
    const directory = runDirectory();
    const stop = createStopSignal();
    try {
      const { outcome } = await runTiny({
        directory, stop, totalSteps: 60, checkpointEvery: 100, evaluateEvery: 100,
        batches: watchedBatches((index) => index === 4 && process.kill(process.pid, 'SIGINT')),
      });
      expect(outcome.completed).toBe(false);
      expect(outcome.step).toBeGreaterThanOrEqual(5);
      expect(await savedSteps(directory)).toEqual([outcome.step]);
    } finally {
      stop.dispose();
    }
  });

  it('by a signal during an evaluation keeps its result', async () => {
    const directory = runDirectory();
    const stop: Stop = { requested: false, reason: undefined };
    const { outcome } = await runTiny({ directory, stop, evaluate: async () => (stopNow(stop), { loss: 7 }) });
    expect(outcome).toMatchObject({ completed: false, step: 4 });
    expect(rowsOf(directory, 'evaluation')).toMatchObject([{ step: 4, loss: 7 }]);
    expect(await savedSteps(directory)).toEqual([3, 4]);
  });

  it('by stopAfter saves there, with FLOPs up to there, and a second session ends the run', async () => {
    const directory = runDirectory();
    const tiny = { flops: (step: number) => step };
    const first = await runTiny({ directory, stopAfter: 7, tiny });
    expect(first.outcome).toMatchObject({ completed: false, step: 7, executedFlops: 1 + 4 * 5 + 2 * 5 });
    expect(await savedSteps(directory)).toEqual([3, 6, 7]);
    const second = await runTiny({ directory, resume: true, stopAfter: 99, tiny });
    expect(second.outcome).toMatchObject({ completed: true, step: 12, executedFlops: 1 + 4 * 5 + 5 * 10 + 2 * 12 });
    const third = await runTiny({ directory, resume: true, tiny });
    expect(third.outcome).toMatchObject({ completed: true, step: 12, targetsPerSecond: 0, targets: 144, executedFlops: second.outcome.executedFlops });
    expect(third.outcome.routing).toEqual(second.outcome.routing);
    expect(await savedSteps(directory)).toEqual([3, 6, 7, 9, 12]);
  });
});

describe('resuming', () => {
  it('after a crash goes on from the last checkpoint and repeats the steps after it, without rows twice', async () => {
    const whole = runDirectory();
    const uninterrupted = await runTiny({ directory: whole });
    const directory = runDirectory();
    const crash = watchedBatches((index) => {
      if (index === 7) throw new Error('power cut');
    });
    await expect(runTiny({ directory, batches: crash })).rejects.toThrow('power cut');
    expect(stepsOf(directory, 'step').at(-1)).toBe(7);
    expect(await savedSteps(directory)).toEqual([3, 6]);
    const resumed = await runTiny({ directory, resume: true });
    expect(resumed.weights).toEqual(uninterrupted.weights);
    expect(timeless(directory)).toEqual(timeless(whole));
  });

  it('a checkpoint is made when the rows up to its step are in the log', async () => {
    const directory = runDirectory();
    const seen: [number, number | undefined][] = [];
    const source = batchSource();
    const batches = { ...source, state: () => (seen.push([readMetrics(join(directory, 'metrics.jsonl')).at(-1)!.step, source.state().index as number]), source.state()) };
    await runTiny({ directory, batches });
    expect(seen).toEqual([[3, 3], [6, 6], [9, 9], [12, 12]]);
  });

  it('asks whether the checkpoint belongs to this run before it touches anything', async () => {
    const directory = runDirectory();
    await runTiny({ directory, stopAfter: 3 });
    const before = timeless(directory);
    const checkSaved: RunOverrides['checkSaved'] = (saved, where) => {
      throw new Error(`${where} is of ${String(saved.name)}`);
    };
    await expect(runTiny({ directory, resume: true, checkSaved })).rejects.toThrow(/step-00000003 is of tiny/);
    expect(timeless(directory)).toEqual(before);
  });

  it('names what a checkpoint of another program lacks', async () => {
    const directory = runDirectory();
    await store(directory).save({ step: 3, tensors: { parameters: [{ name: 'w', dtype: 'float32', shape: [1], data: new Float32Array(1) }] }, state: { saved: {}, trainer: { step: 3 } } });
    await expect(runTiny({ directory, resume: true })).rejects.toThrow(/step-00000003: .*trainer\.targetsSeen is missing/);
  });

  it('of a directory without checkpoints is an error, and so is a new run over an old one', async () => {
    const directory = runDirectory();
    await expect(runTiny({ directory, resume: true })).rejects.toThrow('holds no checkpoint');
    await runTiny({ directory, stopAfter: 1 });
    await expect(runTiny({ directory })).rejects.toThrow('exists already');
  });
});

describe('divergence', () => {
  /** Not finite from step `first` on. */
  const brokenFrom = (first: number) => ({ lossFactor: (step: number) => (step >= first ? Number.NaN : 1) });

  it('F19: ends the run after 50 updates in a row without a finite gradient; the good checkpoints stay, and the error names them', async () => {
    const directory = runDirectory();
    const run = runTiny({ directory, tiny: brokenFrom(14), totalSteps: 200, checkpointEvery: 5, keepCheckpoints: 2, evaluateEvery: 1000 });
    await expect(run).rejects.toMatchObject({
      code: 'numerics',
      message: expect.stringContaining('not finite for 50 updates up to step 63 (loss NaN)'),
      hint: 'go on from step 10 with --resume and a lower --learning-rate, or from an earlier checkpoint with --checkpoint NAME (step-00000005)',
    });
    expect(stepsOf(directory, 'step').at(-1)).toBe(63);
    expect(await savedSteps(directory)).toEqual([5, 10]);
    expect(rowsOf(directory, 'step').map((row) => row.kind === 'step' && row.skippedUpdates).slice(12, 16)).toEqual([undefined, 1, 2, 3]);
  });

  it('says so when nothing was saved before, and tells of skipped updates on the way, but not of each', async () => {
    const messages: string[] = [];
    const run = runTiny({ directory: runDirectory(), tiny: brokenFrom(1), totalSteps: 200, checkpointEvery: 5, evaluateEvery: 100, stream: { write: (text) => messages.push(text) } });
    await expect(run).rejects.toMatchObject({ hint: 'nothing was saved before: begin again with a lower --learning-rate' });
    const told = messages.filter((text) => text.includes('weights stay as they were')).map((text) => /step (\d+)/.exec(text)![1]);
    expect(told).toEqual(['1', '2', '5', '10', '20', '50']);
  });

  it('a stop within a streak saves without pushing a good one out, and the resumed run is the same', async () => {
    const tiny = { lossFactor: (step: number) => (step >= 8 && step <= 14 ? Number.NaN : 1) };
    const whole = await runTiny({ directory: runDirectory(), tiny, totalSteps: 18, keepCheckpoints: 2 });
    const directory = runDirectory();
    const session = (stopAfter: number, resume = true) => runTiny({ directory, tiny, totalSteps: 18, keepCheckpoints: 2, resume, stopAfter });
    await session(10, false);
    expect(await savedSteps(directory)).toEqual([3, 6, 10]);
    await session(13);
    expect(await savedSteps(directory)).toEqual([3, 6, 13]);
    const resumed = await session(18);
    expect(await savedSteps(directory)).toEqual([15, 18]);
    expect(resumed.weights).toEqual(whole.weights);
    expect(resumed.outcome).toMatchObject({ completed: true, skippedUpdates: 7 });
  });

  it('goes on from a named checkpoint', async () => {
    const directory = runDirectory();
    await runTiny({ directory });
    const again = await runTiny({ directory, resume: true, resumeFrom: join(directory, 'checkpoints', 'step-00000006') });
    expect(again.evaluations).toEqual([8, 12]);
    expect(stepsOf(directory, 'step')).toEqual(Array.from({ length: 12 }, (_, index) => index + 1));
  });

  it('one good update in between starts the count again', async () => {
    const tiny = { dispatch: null, lossFactor: (step: number) => (step === 40 || step > 70 ? 1 : Number.NaN) };
    const { outcome } = await runTiny({ directory: runDirectory(), tiny, totalSteps: 75, checkpointEvery: 100, evaluateEvery: 100 });
    expect(outcome).toMatchObject({ completed: true, skippedUpdates: 69 });
  });
});

describe('an evaluation that fails', () => {
  const failing = async (): Promise<never> => {
    throw new Error('the validation split is empty');
  };

  it.each([
    ['at a step that is not saved otherwise', { evaluateEvery: 5, checkpointEvery: 3 }, [3, 5]],
    ['before anything was saved', { evaluateEvery: 2, checkpointEvery: 100 }, [2]],
    ['at a step that is saved', { evaluateEvery: 3, checkpointEvery: 3 }, [3]],
  ])('%s loses nothing, and the run goes on once it works', async (_, cadence, saved) => {
    const whole = await runTiny({ directory: runDirectory(), ...cadence });
    const directory = runDirectory();
    await expect(runTiny({ directory, ...cadence, evaluate: failing })).rejects.toThrow('the validation split is empty');
    expect(await savedSteps(directory)).toEqual(saved);
    const resumed = await runTiny({ directory, ...cadence, resume: true });
    expect(resumed.weights).toEqual(whole.weights);
    expect(resumed.evaluations).toEqual(whole.evaluations);
  });

  it('F9: is repeated when its row could not be written', async () => {
    const whole = await runTiny({ directory: runDirectory(), evaluateEvery: 5, checkpointEvery: 3 });
    const directory = runDirectory();
    const unwritable = async () => ({ loss: 1, scores: { bleu: 1n as never } });
    await expect(runTiny({ directory, evaluateEvery: 5, checkpointEvery: 3, evaluate: unwritable })).rejects.toThrow('BigInt');
    expect(await savedSteps(directory)).toEqual([3, 5]);
    const resumed = await runTiny({ directory, evaluateEvery: 5, checkpointEvery: 3, resume: true });
    expect(resumed.evaluations).toEqual(whole.evaluations);
  });

  it('by killing the process finds a checkpoint there: the first is saved before the first evaluation', async () => {
    const directory = runDirectory();
    const seen: number[][] = [];
    await runTiny({ directory, evaluateEvery: 4, checkpointEvery: 6, evaluate: async () => (seen.push(await savedSteps(directory)), { loss: 1 }) });
    expect(seen).toEqual([[4], [4, 6], [4, 6, 12]]);
  });

  it('its metric reaches the checkpoint that was saved before it', async () => {
    const directory = runDirectory();
    await runTiny({ directory, evaluateEvery: 3, checkpointEvery: 3, keepCheckpoints: 1, evaluate: async () => ({ loss: [5, 2, 3, 4][(await savedSteps(directory)).at(-1)! / 3 - 1]! }) });
    expect(await store(directory).list()).toMatchObject([{ step: 6, metric: 2 }, { step: 12, metric: 4 }]);
    const again = await runTiny({ directory, evaluateEvery: 3, resume: true });
    expect(again.evaluations).toEqual([]); // that of step 12 is known
  });
});

it('a run with fewer steps than it has done is refused', async () => {
  const directory = runDirectory();
  await runTiny({ directory });
  await expect(runTiny({ directory, resume: true, totalSteps: 10 })).rejects.toMatchObject({ code: 'config', hint: 'raise --max-steps' });
});
