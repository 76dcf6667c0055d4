// A training run that is open: device, data, model, the lock of its directory and its ears for signals, and `train()`. Closing gives
// all of it back in the opposite order. Knows no model: that is the task's.
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Backend } from '@xmoe/core';
import { byFirst, fromFirst, groupRanks, SoloComm, type Comm, type RankGroups } from '@xmoe/distributed';
import { jsonObject, type JsonObject } from '@xmoe/files';
import { tokenizerToJson } from '@xmoe/text';
import { dataFingerprint } from '@xmoe/text/node';
import { createStopSignal, lockRunDirectory, runTraining, type ProgressStream, type RunLock, type RunOutcome, type StopSignal } from '@xmoe/train/node';
import { checkData, DATA_FINGERPRINT } from './check-data.js';
import { openDeviceWithRoom, type BackendOpener, type Device } from './device.js';
import { memoryOf, refuseTooLarge } from './memory-needs.js';
import type { TrainingPlan } from './plan-training.js';
import { profileText } from './profile-text.js';
import { createLiveReport, type LiveReport } from './report/live-report.js';
import { requireSameRanks, requireWork } from './ranks.js';
import { beginOrResume, checkTokenizer, recordChanges, refuseExistingRun, resumePath } from './run-directory.js';
import type { Task, TaskBatches, TaskConfig, TaskData, TaskModel } from './task.js';

export interface TrainingRun<Config, Data, Model> {
  readonly plan: TrainingPlan<Config>;
  readonly stream: ProgressStream;
  readonly comm: Comm;
  readonly ranks: RankGroups;
  readonly device: Device;
  readonly data: Data;
  readonly model: Model;
  /** Still listening after the training: whatever takes long asks it. */
  readonly stop: StopSignal;
  /** Trains to the end of the run or of the session, as `runTraining` does. Once. */
  train(): Promise<RunOutcome>;
  /** Stops listening, gives the lock back, and frees model, data and device. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** Where a run computes and what it says. */
export interface TrainingPlace {
  openBackend: BackendOpener;
  stream: ProgressStream;
  /** The ranks that open the run together: the first holds its directory, prepares the data and writes. Default: this process alone. */
  comm?: Comm;
}

/**
 * Opens the run of `plan`: `await using run = await openTraining(plan, task, place)`, then `run.train()`. The directory is locked and
 * signals are heard until it is closed. Whatever can fail without a run directory fails before there is one.
 * @throws XMoEError what does not fit: memory, data, an existing run, a lock that another process holds
 */
export async function openTraining<Config extends TaskConfig, Data extends TaskData, Model extends TaskModel<Host>, Host>(
  plan: TrainingPlan<Config>,
  task: Task<Config, Data, Model, Host>,
  place: TrainingPlace,
): Promise<TrainingRun<Config, Data, Model>> {
  const { config, out, resumed } = plan;
  const { stream, comm = new SoloComm() } = place;
  const isFirst = comm.rank === 0;
  const open: (() => void)[] = []; // what is given back, the last first
  try {
    const { needs, knobs } = task.describe.needs(config, comm.size);
    if (resumed === undefined && isFirst) refuseExistingRun(out);
    const options = { precision: config.train.precision, debug: plan.debug, profile: plan.profile };
    const device = await openDeviceWithRoom(place.openBackend, plan.backend, options, needs);
    const { engine } = device;
    open.push(() => engine.dispose());
    stream.write(`Backend: ${device.reason}\n`);
    refuseTooLarge(needs, knobs, { backend: engine.backend.name, available: memoryOf(engine.backend) });
    // The very data, wherever their source is now; made again from it when they are gone.
    const found = resumed !== undefined && existsSync(resumed.data) ? resumed.data : undefined;
    const prepare = (): Promise<Data> => task.prepare(config, { root: plan.dataRoot, found, stream });
    const data = (await byFirst(comm, prepare)) ?? (await prepare()); // the others find what the first made
    open.push(() => data.dataset.close());
    const { initial } = plan;
    const ranks = await groupRanks(comm, config.train.expertParallel ?? 1);
    const model = task.build(config, engine, data, initial && { tensors: await initial.tensors(config), where: initial.text }, ranks);
    open.push(() => model.trainer.dispose());
    const prepared = { batches: task.batches(config, data), evaluate: task.validate({ plan, ranks, device, data, model }) };
    requireWork(comm, prepared.batches.accumulation);
    await requireSameRanks(comm, {
      'the configuration': JSON.stringify(config), 'the backend': JSON.stringify(computedBy(engine.backend)), 'the data': JSON.stringify(dataFingerprint(data.dataset.index)),
    });
    const lock = isFirst ? await lockRunDirectory(out) : HELD_BY_FIRST;
    open.push(lock.release);
    const live = isFirst ? createLiveReport({ out, stream, title: task.describe.title(plan.preset, config), configuration: jsonObject(config, 'the configuration'), steps: config.train.steps }) : NO_REPORT;
    open.push(live.settle);
    let trained = false;
    const stop = createStopSignal({
      onStop: (reason) => stream.write(`\n${reason}: ${trained ? 'ending; the trained model is saved' : 'saving a checkpoint'}; once more to quit at once\n`),
    });
    open.push(() => stop.dispose());
    return {
      plan, stream, comm, ranks, device, data, model, stop,
      async train() {
        const outcome = await trainLocked(task, { plan, stream, comm, ranks, device, data, model, stop }, prepared, { checkHeld: lock.checkHeld, report: live.write });
        trained = outcome.completed; // from now on a signal ends what follows the training
        if (plan.profile) stream.write(profileText(await engine.profiler?.stop()));
        return outcome;
      },
      [Symbol.asyncDispose]: async () => closeAll(open),
    };
  } catch (error) {
    closeAll(open);
    throw error;
  }
}

/** Of a rank that another one reports for. */
const NO_REPORT: LiveReport = { write: () => Promise.resolve(), settle: () => undefined };

const HELD_BY_FIRST: Pick<RunLock, 'release' | 'checkHeld'> = { release: () => undefined, checkHeld: () => undefined };

/** Each of them, whether or not one before it failed. */
function closeAll(open: (() => void)[]): void {
  const close = open.pop();
  if (!close) return;
  try {
    close();
  } finally {
    closeAll(open);
  }
}

type OpenRun<Config, Data, Model> = Omit<TrainingRun<Config, Data, Model>, 'train' | typeof Symbol.asyncDispose>;

/** What the bits of a run depend on besides its configuration. */
const computedBy = ({ name, library }: Backend): JsonObject => ({ backend: name, ...(library === undefined ? {} : { library }) });

function noteChangedBits(saved: JsonObject, backend: Backend, stream: ProgressStream): void {
  const nameOf = ({ backend: name, library }: JsonObject): string => (library === undefined ? String(name) : `${String(name)} with ${String(library)}`);
  const [before, now] = [nameOf(saved), nameOf(computedBy(backend))];
  if (before !== now) stream.write(`The run was trained on ${before} so far: it goes on${backend.library === undefined ? '' : ` with ${backend.library}`}, but not bit for bit\n`);
}

/** Begins or resumes under the lock, and trains. */
async function trainLocked<Config extends TaskConfig, Data extends TaskData, Model extends TaskModel<Host>, Host>(
  task: Task<Config, Data, Model, Host>,
  run: OpenRun<Config, Data, Model>,
  { batches, evaluate }: { batches: TaskBatches<Host>; evaluate: ReturnType<Task<Config, Data, Model, Host>['validate']> },
  { checkHeld, report }: { checkHeld: () => void; report: () => Promise<void> },
): Promise<RunOutcome> {
  const { plan, stream, comm, device: { engine }, data: { dataset, tokenizer }, model, stop } = run;
  const { config, out } = plan;
  const { train } = config;
  const fingerprint = dataFingerprint(dataset.index);
  const begin = async (): Promise<boolean> => {
    const record = plan.resumed === undefined ? { program: task.configuration.program, preset: plan.preset, backend: engine.backend.name, data: resolve(dataset.directory), config, ...(plan.initial ? { initial: await plan.initial.record() } : {}) } : null;
    return beginOrResume(out, record, stream);
  };
  const resume = (await fromFirst(comm, await byFirst(comm, begin))) === true;
  const resumeFrom = resume ? await resumePath(out, plan.checkpoint) : undefined;
  if (plan.profile) engine.profiler?.start();
  return runTraining<Host>({
    directory: out,
    trainer: model.trainer,
    batches: batches.source,
    totalSteps: train.steps,
    stopAfter: plan.stopAfter,
    accumulation: batches.accumulation,
    evaluateEvery: train.evalEvery,
    patience: batches.patience,
    saveBest: batches.saveBest,
    checkpointEvery: train.checkpointEvery,
    keepCheckpoints: train.keepCheckpoints,
    routingEvery: train.routingEvery,
    resume,
    resumeFrom,
    saved: { config: jsonObject(config, 'the configuration'), tokenizerHash: tokenizer.hash, ...computedBy(engine.backend), [DATA_FINGERPRINT]: fingerprint },
    files: { 'tokenizer.json': tokenizerToJson(tokenizer) },
    checkSaved: async (saved, where, step) => {
      checkTokenizer(saved, tokenizer.hash, where);
      checkData(saved, { fingerprint, directory: dataset.directory }, where, (note) => stream.write(`${note}\n`));
      task.configuration.checkResumable(saved.config, config, where);
      noteChangedBits(saved, engine.backend, stream);
      if (comm.rank === 0) await recordChanges(out, plan.resumed!, { config, step, stream });
    },
    evaluate,
    onEvaluated: report,
    checkHeld,
    stop,
    stream,
    comm,
  });
}
