// One training run from configuration to trained model: run directory, data, model, loop.
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { openBackend } from '@xmoe/backends';
import { initializeParameters, randomKey, type Engine, type Tensor } from '@xmoe/core';
import type { RoutingTrace } from '@xmoe/moe';
import { checkIds, type LanguageModelBatch } from '@xmoe/nn';
import { createBatchSampler, tokenizerToJson, type HeldOut, type TokenBatch } from '@xmoe/text';
import { dataFingerprint } from '@xmoe/text/node';
import { createTrainer, type Trainer } from '@xmoe/train';
import { runTraining, type ProgressStream, type RunOutcome, type StopSignal } from '@xmoe/train/node';
import type { JsonObject } from '@xmoe/files';
import {
  beginOrResume, checkData, checkTokenizer, DATA_FINGERPRINT, memoryOf, openDeviceWithRoom, optimizerOf, profileText, recordChanges,
  refuseExistingRun, refuseTooLarge, resumePath, scheduleOf, withLockedRun, type Device, type TrainingPlan,
} from '@xmoe/program';
import { checkResumable, type Config } from './config.js';
import { openPrepared, prepareData, usableSplits, type Notify, type PreparedData } from './data.js';
import { evaluate } from './evaluate.js';
import { buildModel, memoryNeeds, vocabularyOf, type XMoELanguageModel } from './model.js';
import { routingReader } from './routing-summary.js';

export interface TrainRequest extends TrainingPlan<Config> {
  stream: ProgressStream;
}

export interface TrainedModel {
  request: TrainRequest;
  device: Device;
  data: PreparedData;
  /** The held-out splits that the data have. */
  splits: Record<HeldOut, boolean>;
  model: XMoELanguageModel;
  parameters: Record<string, Tensor>;
  outcome: RunOutcome;
  /** Still listening: whatever takes long asks it. */
  stop: StopSignal;
}

/** Trains, then hands everything to `use` while the run is still locked, signals are heard and the device is open. */
export async function trainRun<R>(request: TrainRequest, use: (trained: TrainedModel) => Promise<R>): Promise<R> {
  const { config, resumed } = request;
  const resumeData = resumed?.data;
  const notify: Notify = (message) => void request.stream.write(`${message}\n`);
  // Whatever can fail without a run directory fails before there is one.
  if (resumed === undefined) refuseExistingRun(request.out);
  const { needs, knobs } = memoryNeeds(config, vocabularyOf(config));
  const device = await openDeviceWithRoom(openBackend, request.backend, { precision: config.train.precision, debug: request.debug, profile: request.profile }, needs);
  notify(`Backend: ${device.reason}`);
  let data: PreparedData | undefined;
  try {
    refuseTooLarge(needs, knobs, { backend: device.engine.backend.name, available: memoryOf(device.engine.backend) });
    // The very shards, wherever the corpus is now; made again from the corpus when they are gone.
    data = resumeData !== undefined && existsSync(resumeData) ? await openPrepared(resumeData) : await prepareData(config, request.dataRoot, notify);
    return await trainOn(request, device, data, use);
  } finally {
    data?.dataset.close();
    device.engine.dispose();
  }
}

async function trainOn<R>(request: TrainRequest, device: Device, data: PreparedData, use: (trained: TrainedModel) => Promise<R>): Promise<R> {
  const { config, out, stream } = request;
  const { engine } = device;
  const { train } = config;
  const { tokenizer, dataset } = data;
  const notify: Notify = (message) => void stream.write(`${message}\n`);
  const splits = usableSplits(data, config, notify);
  const fingerprint = dataFingerprint(dataset.index);
  const model = buildModel(config, tokenizer.vocabularySize);
  const parameters = initializeParameters(engine, model.parameters, randomKey(train.seed));
  const trainer = createLanguageModelTrainer(engine, config, model, parameters);
  const sampler = createBatchSampler({ split: dataset.split('train'), batchSize: train.batchSize, sequenceLength: config.model.contextLength, seed: train.seed });
  const record = request.resumed === undefined ? { preset: request.preset, backend: engine.backend.name, data: resolve(dataset.directory), config } : null;
  try {
    return await withLockedRun(out, stream, async ({ stop, checkHeld, markTrained }) => {
      const resume = await beginOrResume(out, record, stream);
      const resumeFrom = resume ? await resumePath(out, request.checkpoint) : undefined;
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
        ...(resumeFrom === undefined ? {} : { resumeFrom }),
        saved: { config: config as unknown as JsonObject, tokenizerHash: tokenizer.hash, backend: engine.backend.name, [DATA_FINGERPRINT]: fingerprint },
        files: { 'tokenizer.json': tokenizerToJson(tokenizer) },
        checkSaved: async (saved, where, step) => {
          checkTokenizer(saved, tokenizer.hash, where);
          checkData(saved, { fingerprint, directory: dataset.directory }, where, notify);
          checkResumable(saved.config, config, where);
          if (saved.backend !== engine.backend.name) stream.write(`The run was trained on ${String(saved.backend)} so far: it goes on, but not bit for bit\n`);
          await recordChanges(out, request.resumed!, { config, step, stream });
        },
        evaluate: splits.validation ? () => evaluate({
          engine, model, parameters, split: dataset.split('validation'), tokenizer, batchSize: train.batchSize, computeDType: train.precision,
          summarizeTrace: routingReader(config, 1), maxWindows: train.evalWindows,
        }) : undefined,
        checkHeld,
        stop,
        stream,
      });
      if (outcome.completed) markTrained();
      if (request.profile) stream.write(profileText(await engine.profiler?.stop()));
      return use({ request, device, data, splits, model, parameters, outcome, stop });
    });
  } finally {
    trainer.dispose();
  }
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
    optimizer: optimizerOf(train),
    schedule: scheduleOf(train),
    seed: train.seed,
    computeDType: train.precision,
    upload(batch) {
      checkIds('inputs', batch.inputs, model.config.vocabularySize);
      checkIds('targets', batch.targets, model.config.vocabularySize, { none: true });
      inputs.write(batch.inputs);
      targets.write(batch.targets);
      return { shape, inputs, targets };
    },
    countTargets: (batch) => batch.targets.length,
    loss: (weights, batch, context, options) => model.loss(weights, batch, context, options),
    summarizeTrace: routingReader(config, 3),
  });
}
