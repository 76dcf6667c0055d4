// The loop around a trainer: batches, metrics, evaluations, checkpoints, resume and stopping. Knows no model.
import { join } from 'node:path';
import { XMoEError } from '@xmoe/core';
import { createCheckpointStore, type CheckpointStore, type LoadedCheckpoint } from '../checkpoint/index.js';
import type { JsonObject } from '../config/index.js';
import type { StopSignal } from '../lifecycle/index.js';
import {
  createMetricsLog, createProgress, createTensorBoardWriter, createThroughputMeter,
  type MetricsRow, type Progress, type ProgressStream,
} from '../metrics/index.js';
import type { LayerRouting, StepReport, Trainer, TrainerState } from './trainer.js';

/** Where batches come from; its state goes into checkpoints. */
export interface BatchSource<Host> {
  next(): Host;
  state(): JsonObject;
  restore(state: JsonObject): void;
}

export interface RunTrainingOptions<Host> {
  /** Of the run; the caller holds its lock. */
  directory: string;
  trainer: Trainer<Host>;
  batches: BatchSource<Host>;
  totalSteps: number;
  /** End this session, saved, once this many steps of the run are done. */
  stopAfter?: number;
  /** Micro-batches per update. */
  accumulation: number;
  evaluateEvery: number;
  checkpointEvery: number;
  keepCheckpoints: number;
  routingEvery: number;
  /** Go on from the latest valid checkpoint of the directory. */
  resume: boolean;
  /** Saved with every checkpoint: configuration, tokenizer hash and whatever else the program needs. */
  saved: JsonObject;
  /** Files to keep with every checkpoint. */
  files: Readonly<Record<string, string>>;
  /** Raises an error when a checkpoint belongs to another run. */
  checkSaved(saved: JsonObject, where: string): void;
  evaluate(): Promise<{ loss: number; perplexity?: number; scores?: Record<string, number> }>;
  stop: StopSignal;
  stream: ProgressStream;
}

export interface RunOutcome {
  /** False when a signal or `stopAfter` ended it early. */
  completed: boolean;
  step: number;
  /** Targets trained on, over all sessions of the run. */
  targets: number;
  /** Wall-clock of training steps, over all sessions of the run. */
  seconds: number;
  /** Of this session. */
  targetsPerSecond: number;
  /** Routing by layer of the last step that collected it. */
  routing: readonly { layer: string; summary: LayerRouting }[];
  /** FLOPs of the expert layers over the run, estimated from the steps that collected routing. */
  budgetedFlops: number;
  executedFlops: number;
}

/** Running totals, saved with checkpoints so that a resumed run reports the whole. */
interface Totals {
  seconds: number;
  budgetedFlops: number;
  executedFlops: number;
}

/** So many updates in a row without a finite gradient end the run. */
const MOST_SKIPPED = 50;

export async function runTraining<Host>(options: RunTrainingOptions<Host>): Promise<RunOutcome> {
  const { directory, trainer, totalSteps, stop } = options;
  const store = createCheckpointStore({
    directory: join(directory, 'checkpoints'),
    keepLast: options.keepCheckpoints,
    onWarning: (message) => options.stream.write(`${message}\n`),
  });
  const totals: Totals = { seconds: 0, budgetedFlops: 0, executedFlops: 0 };
  if (options.resume) restore(options, await store.loadLatest(), totals);
  const firstStep = trainer.state.step;
  const resumeFrom = options.resume ? { resumeFrom: firstStep } : {};
  const log = createMetricsLog({ path: join(directory, 'metrics.jsonl'), ...resumeFrom });
  const board = createTensorBoardWriter({ directory: join(directory, 'tensorboard'), ...resumeFrom });
  const progress = createProgress({ stream: options.stream, totalSteps, firstStep });
  const record = (row: MetricsRow): void => {
    if (log.append(row)) board.row(row);
  };
  const meter = createThroughputMeter();
  const session = { targets: 0, seconds: 0 };
  let routing: RunOutcome['routing'] = [];
  const lastStep = Math.min(totalSteps, options.stopAfter ?? totalSteps);
  let skipped = 0;
  let savedStep = options.resume ? firstStep : -1;
  const saveNow = async (metric: number | null): Promise<void> => {
    log.flush();
    board.flush();
    await save(options, store, totals, metric);
    savedStep = trainer.state.step;
  };
  try {
    while (trainer.state.step < lastStep && !stop.requested) {
      const started = performance.now();
      const batches = Array.from({ length: options.accumulation }, () => options.batches.next());
      const next = trainer.state.step + 1;
      const collectRouting = next % options.routingEvery === 0 || next === totalSteps || next === 1;
      const result = await trainer.step(batches, { collectRouting });
      const seconds = (performance.now() - started) / 1000;
      session.targets += result.targets;
      session.seconds += seconds;
      totals.seconds += seconds;
      meter.add(result.targets);
      skipped = result.skipped ? skipped + 1 : 0;
      if (skipped >= MOST_SKIPPED) throw diverged(result);
      if (result.routing) {
        routing = result.routing;
        addFlops(totals, result.routing, Math.min(options.routingEvery, result.step));
      }
      writeRows(record, result, seconds, meter.perSecond());
      progress.update(progressOf(result, routing, meter.perSecond()));
      const evaluated = result.step % options.evaluateEvery === 0 || result.step === totalSteps;
      const metric = evaluated ? await evaluateNow(options, result.step, record, progress) : null;
      if (result.step % options.checkpointEvery === 0 || result.step === totalSteps) await saveNow(metric);
    }
    if (trainer.state.step < totalSteps) {
      if (savedStep !== trainer.state.step) await saveNow(null);
      progress.message(`stopped${stop.reason ? ` by ${stop.reason}` : ''} at step ${trainer.state.step}; saved, go on with --resume`);
    }
  } finally {
    progress.finish();
    log.close();
    board.close();
  }
  const { step, targetsSeen } = trainer.state;
  return { completed: step >= totalSteps, step, targets: targetsSeen, ...totals, targetsPerSecond: session.targets / Math.max(session.seconds, 1e-9), routing };
}

function restore<Host>(options: RunTrainingOptions<Host>, checkpoint: LoadedCheckpoint, totals: Totals): void {
  const { saved, trainer, batches, totals: before } = checkpoint.state as { saved: JsonObject; trainer: JsonObject; batches: JsonObject; totals: JsonObject };
  options.checkSaved(saved, checkpoint.path);
  options.trainer.restore(trainer as unknown as TrainerState, checkpoint.tensors, checkpoint.path);
  options.batches.restore(batches);
  Object.assign(totals, before);
}

async function save<Host>(options: RunTrainingOptions<Host>, store: CheckpointStore, totals: Totals, metric: number | null): Promise<void> {
  const { trainer, batches, saved, files } = options;
  await store.save({
    step: trainer.state.step,
    tensors: await trainer.tensors(),
    state: { saved, trainer: trainer.state as unknown as JsonObject, batches: batches.state(), totals: { ...totals } },
    metric,
    files,
  });
}

async function evaluateNow<Host>(
  options: RunTrainingOptions<Host>,
  step: number,
  record: (row: MetricsRow) => void,
  progress: Progress,
): Promise<number> {
  const { loss, perplexity, scores } = await options.evaluate();
  record({ kind: 'evaluation', step, split: 'validation', loss, ...(perplexity === undefined ? {} : { perplexity }), ...(scores ? { scores } : {}) });
  progress.message(`step ${step}: validation loss ${loss.toFixed(4)}${perplexity === undefined ? '' : `, perplexity ${perplexity.toFixed(2)}`}`);
  return loss;
}

function writeRows(record: (row: MetricsRow) => void, result: StepReport, seconds: number, tokensPerSecond: number): void {
  const { step, routing } = result;
  record({
    kind: 'step',
    step,
    loss: result.crossEntropy,
    auxLoss: result.auxLoss,
    learningRate: result.learningRate,
    gradientNorm: result.gradientNorm,
    tokens: result.targets,
    tokensPerSecond,
    seconds,
    lossScale: result.lossScale,
    ...(routing && routing.length > 0
      ? {
          expertsPerToken: routing.map(({ summary }) => summary.expertsPerToken),
          dropRate: routing.map(({ summary }) => summary.dropRate),
          budgetedFlops: routing.reduce((sum, { summary }) => sum + summary.budgetedFlops, 0),
          executedFlops: routing.reduce((sum, { summary }) => sum + summary.executedFlops, 0),
        }
      : {}),
  });
  if (routing && routing.length > 0) {
    record({ kind: 'routing', step, load: routing.map(({ summary }) => [...summary.load]), layers: routing.map(({ layer }) => layer) });
  }
}

function progressOf(result: StepReport, routing: RunOutcome['routing'], tokensPerSecond: number) {
  const mean = (pick: (summary: LayerRouting) => number): number => routing.reduce((sum, { summary }) => sum + pick(summary), 0) / routing.length;
  return {
    step: result.step,
    loss: result.crossEntropy,
    tokensPerSecond,
    ...(routing.length > 0 ? { expertsPerToken: mean((summary) => summary.expertsPerToken), dropRate: mean((summary) => summary.dropRate) } : {}),
  };
}

function addFlops(totals: Totals, routing: RunOutcome['routing'], steps: number): void {
  for (const { summary } of routing) {
    totals.budgetedFlops += summary.budgetedFlops * steps;
    totals.executedFlops += summary.executedFlops * steps;
  }
}

function diverged(result: StepReport): XMoEError {
  return new XMoEError('numerics', `the gradient was not finite for ${MOST_SKIPPED} updates up to step ${result.step} (loss ${result.loss})`, {
    op: 'train',
    hint: 'lower the learning rate and go on from the last checkpoint with --resume',
  });
}
