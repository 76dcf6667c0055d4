// The loop around a trainer: batches, metrics, evaluations, checkpoints, resume and stopping. Knows no model.
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { XMoEError } from '@xmoe/core';
import { byFirst, requireSame, SoloComm, type Comm } from '@xmoe/distributed';
import { z } from 'zod';
import { createCheckpointStore, type CheckpointStore, type OpenedCheckpoint } from '../checkpoint/store.js';
import type { CheckpointEntry } from '../checkpoint/checkpoint-list.js';
import { removeStaleTemporaries } from '@xmoe/files/node';
import { isPlainObject, jsonObject, type JsonObject } from '@xmoe/files';
import { parseConfig } from '../config/parse-config.js';
import { STOP_EXIT_CODES, type StopReason, type StopSignal } from '../lifecycle/stop-signal.js';
import { createThroughputMeter, type ThroughputMeter } from '../metrics/throughput.js';
import type { ProgressStream } from '../metrics/progress.js';
import type { RoutingByLayer } from './layer-routing.js';
import { noOutputs, openRunOutputs, progressUpdate, stepRows, type RunOutputs } from './run-outputs.js';
import { countEvaluation, countRouting, countTime, emptyTotals, flopsAt, runTotalsSchema, type RunTotals } from './run-totals.js';
import { saveTogether } from './save-together.js';
import { trainerStateSchema } from './trainer-state.js';
import type { StepReport, Trainer } from './trainer.js';

/** Where batches come from; its state goes into checkpoints. */
export interface BatchSource<Host> {
  next(): Host;
  state(): JsonObject;
  restore(state: JsonObject): void;
}

export interface RunTrainingOptions<Host> {
  /** Of the run; the caller holds its lock. */
  readonly directory: string;
  readonly trainer: Trainer<Host>;
  readonly batches: BatchSource<Host>;
  readonly totalSteps: number;
  /** End this session, saved, once this many steps of the run are done. */
  readonly stopAfter?: number;
  /** Micro-batches per update, or whether those so far are enough for one. */
  readonly accumulation: number | ((microBatches: readonly Host[]) => boolean);
  readonly evaluateEvery: number;
  /** End the run after so many evaluations in a row without a better metric. Default: never. */
  readonly patience?: number;
  /** Also save after an evaluation with a better metric than all before. Default false. */
  readonly saveBest?: boolean;
  readonly checkpointEvery: number;
  readonly keepCheckpoints: number;
  readonly routingEvery: number;
  /** Go on from the latest valid checkpoint of the directory. */
  readonly resume: boolean;
  /** Path of the checkpoint to go on from instead. */
  readonly resumeFrom?: string;
  /** Saved with every checkpoint: configuration, tokenizer hash and whatever else the program needs. */
  readonly saved: JsonObject;
  /** Files to keep with every checkpoint. */
  readonly files: Readonly<Record<string, string>>;
  /** Raises an error when a checkpoint, which is of `step`, belongs to another run. */
  checkSaved(saved: JsonObject, where: string, step: number): void | Promise<void>;
  /** Asked after every step and before a save: raises an error when the directory is no longer this process's. */
  readonly checkHeld?: () => void;
  /** Absent: the run has nothing to be evaluated on, and is not. */
  readonly evaluate?: (() => Promise<Evaluation>) | undefined;
  /** Called on the first rank once an evaluation is recorded and saved. Its time is none of training. */
  readonly onEvaluated?: () => Promise<void>;
  readonly stop: Pick<StopSignal, 'requested' | 'reason'>;
  readonly stream: ProgressStream;
  /** The ranks that train together, as the trainer knows them: they stop together, and the first writes. Default: this process alone. */
  readonly comm?: Comm;
}

export interface Evaluation {
  loss: number;
  perplexity?: number;
  scores?: Record<string, number>;
  /** What chooses the best checkpoint, lower is better. Default: the loss. */
  metric?: number;
}

export interface RunOutcome {
  /** False when a signal or `stopAfter` ended it early, also between the last step and its evaluation. */
  completed: boolean;
  /** Ended by `patience`; that is a completed run. */
  stoppedEarly: boolean;
  step: number;
  /** Targets trained on, over all sessions of the run. */
  targets: number;
  /** Wall-clock of training steps, over all sessions of the run. */
  seconds: number;
  /** Processor time of them, over all threads: on a machine that others use it says what wall-clock cannot. */
  processorSeconds: number;
  /** Of this session's training steps: evaluations and checkpoints do not count. 0 when there were none. */
  targetsPerSecond: number;
  /** Routing by layer of the last step that collected it. */
  routing: RoutingByLayer;
  /** Updates that changed nothing because their gradient was not finite, over all sessions of the run. */
  skippedUpdates: number;
  /** How many of the last updates were such. */
  skippedInARow: number;
  /** FLOPs of the expert layers over the run, estimated from the steps that collected routing. */
  budgetedFlops: number;
  executedFlops: number;
}

/** So many updates in a row without a finite gradient end the run. Halving the first loss scale down to 1 takes 15. */
export const MOST_SKIPPED = 50;

const object = z.custom<JsonObject>(isPlainObject);
/** The state of a checkpoint of a run. */
const runStateSchema = z.object({ saved: object, trainer: trainerStateSchema, batches: object, totals: runTotalsSchema });

/** One session of a run while it goes. */
interface Session<Host> {
  readonly options: RunTrainingOptions<Host>;
  readonly comm: Comm;
  /** That any rank was asked to stop, once all have agreed on it, and by which signal. */
  stopping: { readonly reason: StopReason | undefined } | null;
  readonly store: CheckpointStore;
  readonly outputs: RunOutputs;
  /** Tokens per second of training, over the last seconds of it. */
  readonly meter: ThroughputMeter;
  totals: RunTotals;
  /** What this session trained on, and the wall-clock of its training steps. */
  readonly spent: { targets: number; seconds: number };
  /** The step of the newest checkpoint; −1 for none. */
  savedStep: number;
  /** Where that one is. */
  savedPath: string | null;
}

/**
 * Trains up to `totalSteps`, or until `stopAfter` or a stop signal, and leaves a checkpoint of the last completed step in
 * either case. After an error the last good checkpoint stays.
 * @throws XMoEError `numerics` after {@link MOST_SKIPPED} updates in a row without a finite gradient
 */
export async function runTraining<Host>(options: RunTrainingOptions<Host>): Promise<RunOutcome> {
  const session = await openSession(options);
  const { trainer, totalSteps, stopAfter = totalSteps } = options;
  const { outputs } = session;
  const lastStep = Math.min(totalSteps, stopAfter);
  // A backend on the CPU never waits by itself: only a turn of the event loop lets signals in.
  try {
    await nextTurn();
    await agreeToStop(session);
    await settle(session);
    await agreeToStop(session);
    while (trainer.state.step < lastStep && session.stopping === null && !isPatienceOver(session)) {
      await trainOnce(session);
      await nextTurn();
      options.checkHeld?.();
      await agreeToStop(session);
      await settle(session);
      await agreeToStop(session);
    }
    const completed = isPatienceOver(session) || (trainer.state.step >= totalSteps && !evaluationDue(session));
    if (session.savedStep !== trainer.state.step) await save(session, null);
    if (isPatienceOver(session)) outputs.progress.message(`step ${trainer.state.step}: no better for ${session.totals.evaluationsSinceBest} evaluations; the end`);
    else if (!completed) {
      outputs.progress.message(`stopped${session.stopping?.reason ? ` by ${session.stopping.reason}` : ''} at step ${trainer.state.step}; saved, go on with --resume`);
    }
    return outcomeOf(session, completed);
  } catch (error) {
    options.checkHeld?.(); // a directory that is gone explains why a file could not be written
    throw error;
  } finally {
    outputs.close();
  }
}

async function openSession<Host>(options: RunTrainingOptions<Host>): Promise<Session<Host>> {
  const { directory, trainer, resume, stream, totalSteps, comm = new SoloComm() } = options;
  const store = createCheckpointStore({
    directory: join(directory, 'checkpoints'),
    keepLast: options.keepCheckpoints,
    onWarning: (message) => stream.write(`${message}\n`),
  });
  // A run that was killed as its last checkpoint was rated or others removed saves nothing more that would clear up.
  await byFirst(comm, () => removeStaleTemporaries(store.directory));
  const loaded = !resume ? null : options.resumeFrom === undefined ? await store.openLatest() : await store.open(options.resumeFrom);
  const totals = loaded ? await restore(options, loaded) : emptyTotals();
  const firstStep = trainer.state.step;
  if (comm.size > 1) await requireSame(comm, { checkpoint: loaded?.path ?? 'none' }, 'all ranks must see the same run directory: put it on a file system that all hosts share');
  const spent = { targets: 0, seconds: 0 };
  return {
    options,
    comm,
    stopping: null,
    store,
    outputs: comm.rank === 0 ? openRunOutputs({ directory, stream, totalSteps, firstStep, resume }) : noOutputs(),
    meter: createThroughputMeter({ now: () => spent.seconds * 1000 }),
    totals,
    spent,
    savedStep: resume ? firstStep : -1,
    savedPath: loaded?.path ?? null,
  };
}

/** By number; the first is a stop that no signal asked for. */
const REASONS = [undefined, ...(Object.keys(STOP_EXIT_CODES) as StopReason[])];

/** What is asked to stop on one rank, stops on all, at the same step. */
async function agreeToStop<Host>(session: Session<Host>): Promise<void> {
  const { comm, options: { stop } } = session;
  const asked = Int32Array.of(stop.requested ? REASONS.indexOf(stop.reason) : -1);
  await comm.allReduce(asked, 'max');
  session.stopping = asked[0]! < 0 ? null : { reason: REASONS[asked[0]!] };
}

/** One update and what it reports. */
async function trainOnce<Host>(session: Session<Host>): Promise<void> {
  const { options: { trainer, batches, accumulation, routingEvery, totalSteps }, comm, outputs, meter } = session;
  const talked = comm.communicationSeconds?.();
  const started = performance.now();
  const used = process.cpuUsage();
  const next = trainer.state.step + 1;
  const isEnough = typeof accumulation === 'number' ? (taken: readonly Host[]): boolean => taken.length >= accumulation : accumulation;
  const microBatches = [batches.next()];
  while (!isEnough(microBatches)) microBatches.push(batches.next());
  const collectRouting = next % routingEvery === 0 || next === totalSteps || next === 1;
  const result = await trainer.step(microBatches, { collectRouting });
  const seconds = (performance.now() - started) / 1000;
  session.spent.targets += result.targets;
  session.spent.seconds += seconds;
  meter.add(result.targets);
  session.totals = countTime(session.totals, seconds, process.cpuUsage(used));
  if (result.routing) session.totals = countRouting(session.totals, result.step, result.routing);
  outputs.record(stepRows(result, { seconds, ...(talked === undefined ? {} : { communicationSeconds: comm.communicationSeconds!() - talked }) }, meter.perSecond()));
  outputs.progress.update(progressUpdate(result, session.totals.routing, meter.perSecond()));
  if (result.skipped && isRound(result.skippedUpdates)) outputs.progress.message(skippedText(result));
  if (trainer.state.skippedInARow >= MOST_SKIPPED) throw diverged(result, await session.store.list());
}

/**
 * The evaluation and the checkpoint that the current step is due. A stop leaves the evaluation to the resumed run. What an
 * evaluation needs, data or memory, training may not have needed: what was trained is saved before, or when it fails.
 */
async function settle<Host>(session: Session<Host>): Promise<void> {
  const { trainer, evaluate, saveBest = false } = session.options;
  const { step } = trainer.state;
  const evaluates = evaluate !== undefined && evaluationDue(session) && session.stopping === null;
  if (session.savedStep !== step && (checkpointDue(session) || (evaluates && session.savedStep < 0))) await save(session, null);
  if (!evaluates) return;
  const metric = await evaluateNow(session, evaluate).catch(async (error: unknown) => {
    if (session.savedStep !== step) await save(session, null).catch(() => undefined); // the first error tells more
    throw error;
  });
  const isBest = session.totals.evaluationsSinceBest === 0;
  if (session.savedStep === step) await byFirst(session.comm, () => session.store.rate(session.savedPath!, metric));
  else if ((saveBest && isBest) || isPatienceOver(session)) await save(session, metric);
  if (session.comm.rank === 0 && !session.options.stop.requested) await session.options.onEvaluated?.();
}

/** Whether the step is one to save by itself. Of updates that changed nothing there is nothing to save. */
function checkpointDue<Host>({ options: { trainer, checkpointEvery, totalSteps } }: Session<Host>): boolean {
  const { step, skippedInARow } = trainer.state;
  return step > 0 && ((step % checkpointEvery === 0 && skippedInARow === 0) || step === totalSteps);
}

function evaluationDue<Host>({ options: { trainer, evaluate, evaluateEvery, totalSteps }, totals }: Session<Host>): boolean {
  const { step } = trainer.state;
  return evaluate !== undefined && step > totals.evaluatedAt && (step % evaluateEvery === 0 || step === totalSteps);
}

async function evaluateNow<Host>(session: Session<Host>, evaluate: () => Promise<Evaluation>): Promise<number> {
  const { options, outputs } = session;
  const { step } = options.trainer.state;
  const { loss, perplexity, scores, metric = loss } = await evaluate();
  outputs.record([{ kind: 'evaluation', step, split: 'validation', loss, perplexity, scores }]);
  // Counted once its row is there: the checkpoint of a run whose disk is full must not know of an evaluation that the log lacks.
  session.totals = countEvaluation(session.totals, step, metric);
  const shown = [`validation loss ${loss.toFixed(4)}`, ...(perplexity === undefined ? [] : [`perplexity ${perplexity.toFixed(2)}`])];
  const others = Object.entries(scores ?? {}).map(([name, value]) => `${name} ${value.toFixed(2)}`);
  outputs.progress.message(`step ${step}: ${[...shown, ...others].join(', ')}`);
  return metric;
}

/** Enough evaluations in a row brought nothing better. */
function isPatienceOver<Host>({ options: { patience = Infinity }, totals }: Session<Host>): boolean {
  return totals.evaluationsSinceBest >= patience;
}

/** Metrics first: a checkpoint never knows of steps that the log lost. */
async function save<Host>(session: Session<Host>, metric: number | null): Promise<void> {
  const { options: { trainer, batches, saved, files }, comm, store, outputs, totals } = session;
  const { state } = trainer;
  session.options.checkHeld?.();
  outputs.flush();
  const runState: z.input<typeof runStateSchema> = { saved, trainer: state, batches: batches.state(), totals };
  const provisional = state.skippedInARow > 0;
  const entry = await saveTogether(comm, trainer.trained, (writing) =>
    store.save({ ...writing, step: state.step, state: jsonObject(runState, 'the state of the run'), metric, files, provisional }));
  session.savedStep = state.step;
  session.savedPath = entry?.path ?? null;
}

async function restore<Host>(options: RunTrainingOptions<Host>, checkpoint: OpenedCheckpoint): Promise<RunTotals> {
  const { checkSaved, trainer, batches, totalSteps } = options;
  const { path, tensors } = checkpoint;
  const state = parseConfig(runStateSchema, checkpoint.state, { where: path });
  if (state.trainer.step > totalSteps) {
    throw new XMoEError('config', `${path} has ${state.trainer.step} steps behind it, more than the ${totalSteps} of the whole run`, { hint: 'raise --max-steps' });
  }
  await checkSaved(state.saved, path, state.trainer.step);
  await trainer.restore(state.trainer, tensors, path);
  batches.restore(state.batches);
  // A metric that its state does not know of was measured after it was saved.
  const { step } = state.trainer;
  return checkpoint.metric !== null && state.totals.evaluatedAt < step ? countEvaluation(state.totals, step, checkpoint.metric) : state.totals;
}

function outcomeOf<Host>(session: Session<Host>, completed: boolean): RunOutcome {
  const { options: { trainer }, totals, spent } = session;
  const { step, targetsSeen, skippedUpdates, skippedInARow } = trainer.state;
  return {
    completed,
    stoppedEarly: isPatienceOver(session),
    step,
    targets: targetsSeen,
    seconds: totals.seconds,
    processorSeconds: totals.processorSeconds,
    targetsPerSecond: spent.seconds > 0 ? spent.targets / spent.seconds : 0,
    routing: totals.routing,
    skippedUpdates,
    skippedInARow,
    ...flopsAt(totals, step),
  };
}

/** 1, 2, 5, 10, 20, 50, …: often enough to tell, and never a flood. */
const isRound = (count: number): boolean => /^[125]0*$/.test(String(count));

function skippedText({ step, loss, skippedUpdates }: StepReport): string {
  const count = skippedUpdates === 1 ? 'the first such update' : `${skippedUpdates} such updates so far`;
  return `step ${step}: the gradient was not finite (loss ${loss}), so the weights stay as they were; ${count}`;
}

function diverged(result: StepReport, saved: readonly CheckpointEntry[]): XMoEError {
  const [newest, ...others] = saved.filter(({ provisional }) => !provisional).reverse();
  const earlier = others.length > 0 ? `, or from an earlier checkpoint with --checkpoint NAME (${others.map(({ name }) => name).join(', ')})` : '';
  return new XMoEError('numerics', `the gradient was not finite for ${MOST_SKIPPED} updates up to step ${result.step} (loss ${result.loss})`, {
    op: 'train',
    hint: newest
      ? `go on from step ${newest.step} with --resume and a lower --learning-rate${earlier}`
      : 'nothing was saved before: begin again with a lower --learning-rate',
  });
}
