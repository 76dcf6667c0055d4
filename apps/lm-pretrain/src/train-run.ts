// One training run from configuration to trained model: run directory, data, model, loop.
import { existsSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { initializeParameters, randomKey, XMoEError, type Engine, type Tensor } from '@xmoe/core';
import type { RoutingTrace } from '@xmoe/moe';
import type { LanguageModelBatch, ScheduleConfig } from '@xmoe/nn';
import {
  createBatchSampler, createStopSignal, createTrainer, lockRunDirectory, replaceFile, runTraining, tokenizerToJson,
  type JsonObject, type ProgressStream, type RunOutcome, type StopSignal, type TokenBatch, type Trainer,
} from '@xmoe/train';
import { checkResumable, type Config } from './config.js';
import { openPrepared, prepareData, type Notify, type PreparedData } from './data.js';
import { profileText } from './profile-text.js';
import { evaluate } from './evaluate.js';
import { buildModel, type XMoELanguageModel } from './model.js';
import { routingReader } from './routing-summary.js';
import { checkTokenizer, openDevice, RUN_FILES, type Device, type RunRecord } from './session.js';

export interface TrainRequest {
  config: Config;
  preset: string;
  backend: string;
  /** Run directory. */
  out: string;
  /** Directory that prepared shards go under. */
  dataRoot: string;
  /** Directory of the shards that the run to go on with was trained on; absent for a new run. */
  resumeData?: string;
  /** End this session, saved, after this step. */
  stopAfter?: number;
  debug?: 'off' | 'nan' | 'leaks' | 'all';
  /** Print the time per kernel after training. */
  profile?: boolean;
  stream: ProgressStream;
}

export interface TrainedModel {
  request: TrainRequest;
  device: Device;
  data: PreparedData;
  model: XMoELanguageModel;
  parameters: Record<string, Tensor>;
  outcome: RunOutcome;
  /** Still listening: whatever takes long asks it. */
  stop: StopSignal;
}

/** Trains, then hands everything to `use` while the run is still locked, signals are heard and the device is open. */
export async function trainRun<R>(request: TrainRequest, use: (trained: TrainedModel) => Promise<R>): Promise<R> {
  const { config, resumeData } = request;
  const notify: Notify = (message) => void request.stream.write(`${message}\n`);
  // Whatever can fail without a run directory fails before there is one.
  if (resumeData === undefined) refuseExistingRun(request.out);
  const device = await openDevice(request.backend, config.train.precision, { debug: request.debug, profile: request.profile });
  notify(`Backend: ${device.reason}`);
  let data: PreparedData | undefined;
  try {
    // The very shards, wherever the corpus is now; made again from the corpus when they are gone.
    data = resumeData !== undefined && existsSync(resumeData) ? await openPrepared(resumeData) : await prepareData(config, request.dataRoot, notify);
    return await trainOn(request, device, data, use);
  } finally {
    data?.dataset.close();
    device.engine.dispose();
  }
}

function refuseExistingRun(out: string): void {
  if (![RUN_FILES.config, RUN_FILES.metrics, RUN_FILES.checkpoints].some((name) => existsSync(join(out, name)))) return;
  throw new XMoEError('config', `${out} holds a run already`, { hint: 'go on with --resume, or choose another --out' });
}

async function trainOn<R>(request: TrainRequest, device: Device, data: PreparedData, use: (trained: TrainedModel) => Promise<R>): Promise<R> {
  const { config, out, stream } = request;
  const { engine } = device;
  const { train } = config;
  const { tokenizer } = data;
  const model = buildModel(engine, config, tokenizer.vocabularySize);
  const parameters = initializeParameters(engine, model.parameters, randomKey(train.seed));
  const trainer = createLanguageModelTrainer(engine, config, model, parameters);
  const sampler = createBatchSampler({ split: data.dataset.split('train'), batchSize: train.batchSize, sequenceLength: config.model.contextLength, seed: train.seed });
  const lock = await lockRunDirectory(out);
  let trained = false;
  const stop = createStopSignal({
    onStop: (reason) => stream.write(`\n${reason}: ${trained ? 'ending; the trained model is saved' : 'saving a checkpoint'}; once more to quit at once\n`),
  });
  try {
    const resume = await beginOrResume(request, data, engine.backend.name);
    if (request.profile) engine.profiler?.start();
    const outcome = await runTraining<TokenBatch>({
      directory: out,
      trainer,
      batches: { next: () => sampler.next(), state: () => ({ ...sampler.state() }), restore: (state) => sampler.restore(state as never) },
      totalSteps: train.steps,
      ...(request.stopAfter === undefined ? {} : { stopAfter: request.stopAfter }),
      accumulation: train.accumulation,
      evaluateEvery: train.evalEvery,
      checkpointEvery: train.checkpointEvery,
      keepCheckpoints: train.keepCheckpoints,
      routingEvery: train.routingEvery,
      resume,
      saved: { config: config as unknown as JsonObject, tokenizerHash: tokenizer.hash, backend: engine.backend.name },
      files: { 'tokenizer.json': tokenizerToJson(tokenizer) },
      checkSaved: (saved, where) => {
        checkTokenizer(saved, tokenizer.hash, where);
        checkResumable(saved.config, config, where);
        if (saved.backend !== engine.backend.name) stream.write(`The run was trained on ${String(saved.backend)} so far: it goes on, but not bit for bit\n`);
      },
      evaluate: () => evaluate({
        engine, model, parameters, split: data.dataset.split('validation'), tokenizer, batchSize: train.batchSize, computeDType: train.precision,
        summarizeTrace: routingReader(config, 1), maxWindows: train.evalWindows,
      }),
      stop,
      stream,
    });
    trained = outcome.completed;
    if (request.profile) stream.write(profileText(await engine.profiler?.stop()));
    return await use({ request, device, data, model, parameters, outcome, stop });
  } finally {
    stop.dispose();
    trainer.dispose();
    lock.release();
  }
}

/**
 * Under the lock: writes config.json of a new run, or says whether there is a checkpoint to resume from. A run that was
 * killed before its first one begins again.
 */
async function beginOrResume(request: TrainRequest, data: PreparedData, backend: string): Promise<boolean> {
  const { config, out, stream } = request;
  if (request.resumeData === undefined) {
    refuseExistingRun(out); // another process may have been quicker
    const record: RunRecord = { preset: request.preset, backend, data: resolve(data.dataset.directory), config };
    await replaceFile(join(out, RUN_FILES.config), `${JSON.stringify(record, null, 2)}\n`);
    return false;
  }
  const names = await readdir(join(out, RUN_FILES.checkpoints)).catch(() => []);
  if (names.some((name) => name.startsWith('step-'))) return true;
  stream.write('No checkpoint was saved yet: starting from the beginning\n');
  for (const name of [RUN_FILES.metrics, RUN_FILES.tensorboard]) await rm(join(out, name), { recursive: true, force: true });
  return false;
}

/** The trainer of a language model: batches go to two tensors that live as long as the engine. */
export function createLanguageModelTrainer(engine: Engine, config: Config, model: XMoELanguageModel, parameters: Record<string, Tensor>): Trainer<TokenBatch> {
  const { train } = config;
  const shape = { batch: train.batchSize, length: config.model.contextLength };
  const inputs = engine.zeros([shape.batch * shape.length], 'int32').keep();
  const targets = engine.zeros([shape.batch * shape.length], 'int32').keep();
  return createTrainer<TokenBatch, LanguageModelBatch, RoutingTrace>({
    engine,
    specs: model.parameters,
    parameters,
    optimizer: { beta1: train.beta1, beta2: train.beta2, epsilon: train.epsilon, weightDecay: train.weightDecay, clipNorm: train.clipNorm },
    schedule: scheduleOf(config),
    seed: train.seed,
    computeDType: train.precision,
    upload(batch) {
      inputs.write(batch.inputs);
      targets.write(batch.targets);
      return { shape, inputs, targets };
    },
    countTargets: (batch) => batch.targets.length,
    loss: (weights, batch, context, options) => model.loss(weights, batch, context, options),
    summarizeTrace: routingReader(config, 3),
  });
}

function scheduleOf({ train }: Config): ScheduleConfig {
  const { schedule: type, learningRate: peak, warmupSteps, steps: totalSteps, finalLearningRate: final } = train;
  return type === 'cosine' ? { type, peak, final, warmupSteps, totalSteps } : { type, peak, warmupSteps };
}
