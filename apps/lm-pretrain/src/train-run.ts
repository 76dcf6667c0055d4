// One training run from configuration to trained model: run directory, data, model, loop.
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { initializeParameters, randomKey, XMoEError, type Engine, type Tensor } from '@xmoe/core';
import type { RoutingTrace } from '@xmoe/moe';
import type { LanguageModelBatch, ScheduleConfig } from '@xmoe/nn';
import {
  createBatchSampler, createStopSignal, createTrainer, lockRunDirectory, replaceFile, runTraining, tokenizerToJson,
  type JsonObject, type RunOutcome, type TokenBatch, type Trainer,
} from '@xmoe/train';
import { checkResumable, type Config } from './config.js';
import { prepareData, type Notify, type PreparedData } from './data.js';
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
  resume: boolean;
  /** End this session, saved, after this step. */
  stopAfter?: number;
  debug?: 'off' | 'nan' | 'leaks' | 'all';
  stream: { write(text: string): unknown; isTTY?: boolean; columns?: number };
}

export interface TrainedModel {
  request: TrainRequest;
  device: Device;
  data: PreparedData;
  model: XMoELanguageModel;
  parameters: Record<string, Tensor>;
  outcome: RunOutcome;
  /** 0, or 130 or 143 after a signal. */
  exitCode: number;
}

/** Trains, then hands everything to `use` while the run is still locked and the device open. */
export async function trainRun<R>(request: TrainRequest, use: (trained: TrainedModel) => Promise<R>): Promise<R> {
  const { config, out } = request;
  const notify: Notify = (message) => void request.stream.write(`${message}\n`);
  if (!request.resume && existsSync(join(out, RUN_FILES.config))) {
    throw new XMoEError('config', `${out} holds a run already`, { hint: 'go on with --resume, or choose another --out' });
  }
  // Whatever can fail without a run directory fails before there is one.
  const device = await openDevice(request.backend, config.train.precision, request.debug);
  notify(`backend ${device.reason}`);
  let data: PreparedData | undefined;
  try {
    data = await prepareData(config, request.dataRoot, notify);
    return await trainOn(request, device, data, use);
  } finally {
    data?.dataset.close();
    device.engine.dispose();
  }
}

async function trainOn<R>(request: TrainRequest, device: Device, data: PreparedData, use: (trained: TrainedModel) => Promise<R>): Promise<R> {
  const { config, out, resume, stream } = request;
  const { engine } = device;
  const { train } = config;
  const { tokenizer } = data;
  const model = buildModel(engine, config, tokenizer.vocabularySize);
  const parameters = initializeParameters(engine, model.parameters, randomKey(train.seed));
  const trainer = makeTrainer(engine, config, model, parameters);
  const sampler = createBatchSampler({ split: data.dataset.split('train'), batchSize: train.batchSize, sequenceLength: config.model.contextLength, seed: train.seed });
  const lock = await lockRunDirectory(out);
  if (!resume) {
    const record: RunRecord = { preset: request.preset, data: resolve(data.shards.directory), config };
    await replaceFile(join(out, RUN_FILES.config), `${JSON.stringify(record, null, 2)}\n`);
  }
  const stop = createStopSignal({ onStop: (reason) => stream.write(`\n${reason}: saving a checkpoint; once more to quit at once\n`) });
  try {
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
        if (saved.backend !== engine.backend.name) stream.write(`the run was trained on ${String(saved.backend)}: results go on, but not bit for bit\n`);
      },
      evaluate: () => evaluate({
        engine, model, parameters, split: data.dataset.split('validation'), batchSize: train.batchSize, computeDType: train.precision,
        summarizeTrace: routingReader(config, 1), maxWindows: train.evalWindows,
      }),
      stop,
      stream,
    });
    return await use({ request, device, data, model, parameters, outcome, exitCode: stop.exitCode });
  } finally {
    stop.dispose();
    trainer.dispose();
    lock.release();
  }
}

function makeTrainer(engine: Engine, config: Config, model: XMoELanguageModel, parameters: Record<string, Tensor>): Trainer<TokenBatch> {
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
