// One training run from configuration to trained model: run directory, data, model, loop.
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { openBackend } from '@xmoe/backends';
import {
  createLanguageModelFromConfig, createLanguageModelTrainer, languageMemoryNeeds, languageVocabulary, routingReader, type XMoELanguageModel,
} from '@xmoe/models';
import { initializeParameters, randomKey, type Tensor } from '@xmoe/core';
import { createBatchSampler, tokenizerToJson, type HeldOut, type TokenBatch } from '@xmoe/text';
import { dataFingerprint } from '@xmoe/text/node';
import { runTraining, type ProgressStream, type RunOutcome, type StopSignal } from '@xmoe/train/node';
import type { JsonObject } from '@xmoe/files';
import {
  beginOrResume, checkData, checkTokenizer, DATA_FINGERPRINT, memoryOf, openDeviceWithRoom, profileText, recordChanges, refuseExistingRun, refuseTooLarge, resumePath, withLockedRun, type Device, type TrainingPlan,
} from '@xmoe/program';
import { checkResumable, type Config } from './config.js';
import { openPrepared, prepareData, usableSplits, type Notify, type PreparedData } from './data.js';
import { evaluate } from './evaluate.js';

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
  const { needs, knobs } = languageMemoryNeeds(config, languageVocabulary(config));
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
  const model = createLanguageModelFromConfig(config, tokenizer.vocabularySize);
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
