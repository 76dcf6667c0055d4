// One training run from configuration to trained model: run directory, data, model, loop.
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { openBackend } from '@xmoe/backends';
import { initializeParameters, randomKey, type Engine, type Tensor } from '@xmoe/core';
import type { RoutingTrace } from '@xmoe/moe';
import {
  createLineTranslator, createTranslationModelFromConfig, createTranslator, createUploader, droplessTranslationConfig as droplessOf, type LineTranslator, optimizerOf, routingReader, scheduleOf, shapeOf, sourceLimits, translationMemoryNeeds, translationVocabulary, type XMoETranslator,
} from '@xmoe/models';
import type { TranslationBatch } from '@xmoe/nn';
import { createParallelSampler, tokenizerToJson, type ParallelBatch, type ParallelDataset } from '@xmoe/text';
import { dataFingerprint, openParallelDataset } from '@xmoe/text/node';
import { createTrainer, type Trainer } from '@xmoe/train';
import { runTraining, type BatchSource, type Evaluation, type ProgressStream, type RunOutcome, type StopSignal } from '@xmoe/train/node';
import type { JsonObject } from '@xmoe/files';
import {
  beginOrResume, checkData, checkTokenizer, DATA_FINGERPRINT, memoryOf, openDeviceWithRoom, profileText, recordChanges, refuseExistingRun, refuseTooLarge, resumePath, withLockedRun, type Device, type TrainingPlan,
} from '@xmoe/program';
import { checkHeldOut, checkSplits } from './check-splits.js';
import { checkResumable, type Config } from './config.js';
import { prepareWithProgress } from './prepare-with-progress.js';
import { bleuTokenizerOf, scoreTranslations } from './scores.js';
import { referenceLoss, translatePairs } from './validate.js';

export interface TrainRequest extends TrainingPlan<Config> {
  stream: ProgressStream;
}

export interface TrainedModel {
  request: TrainRequest;
  device: Device;
  dataset: ParallelDataset;
  model: XMoETranslator;
  parameters: Record<string, Tensor>;
  /** The same model with nothing dropped. */
  dropless: XMoETranslator;
  /** Of that one, with the parameters as they are when it is called. */
  lines: LineTranslator;
  /** Scores the validation split with the parameters as they are. */
  validate(): Promise<Evaluation>;
  outcome: RunOutcome;
  /** Still listening: whatever takes long asks it. */
  stop: StopSignal;
}

/** Trains, then hands everything to `use` while the run is still locked, signals are heard and the device is open. */
export async function trainRun<R>(request: TrainRequest, use: (trained: TrainedModel) => Promise<R>): Promise<R> {
  const { config, resumed, stream } = request;
  const resumeData = resumed?.data;
  // Whatever can fail without a run directory fails before there is one.
  checkHeldOut(config);
  if (resumed === undefined) refuseExistingRun(request.out);
  const { needs, knobs } = translationMemoryNeeds(config, translationVocabulary(config) ?? 0);
  const device = await openDeviceWithRoom(openBackend, request.backend, { precision: config.train.precision, debug: request.debug, profile: request.profile }, needs);
  stream.write(`Backend: ${device.reason}\n`);
  let dataset: ParallelDataset | undefined;
  try {
    refuseTooLarge(needs, knobs, { backend: device.engine.backend.name, available: memoryOf(device.engine.backend) });
    // The very shards, wherever the text is now; made again from the text when they are gone.
    dataset = resumeData !== undefined && existsSync(resumeData) ? await openParallelDataset(resumeData) : await prepareWithProgress(config.data, request.dataRoot, stream);
    checkSplits(dataset, config);
    return await trainOn(request, device, dataset, use);
  } finally {
    dataset?.close();
    device.engine.dispose();
  }
}

async function trainOn<R>(request: TrainRequest, device: Device, dataset: ParallelDataset, use: (trained: TrainedModel) => Promise<R>): Promise<R> {
  const { config, out, stream } = request;
  const { engine } = device;
  const { train } = config;
  const { tokenizer } = dataset;
  const fingerprint = dataFingerprint(dataset.index);
  const model = createTranslationModelFromConfig(config, tokenizer.vocabularySize);
  const parameters = initializeParameters(engine, model.parameters, randomKey(train.seed));
  const trainer = createTranslationTrainer(engine, config, model, parameters);
  const batches = batchSource(config, dataset);
  const record = request.resumed === undefined ? { preset: request.preset, backend: engine.backend.name, data: resolve(dataset.directory), config } : null;
  try {
    return await withLockedRun(out, stream, async ({ stop, checkHeld, markTrained }) => {
      const validation = createValidation(config, engine, dataset, parameters);
      const resume = await beginOrResume(out, record, stream);
      const resumeFrom = resume ? await resumePath(out, request.checkpoint) : undefined;
      if (request.profile) engine.profiler?.start();
      const outcome = await runTraining<ParallelBatch>({
        directory: out,
        trainer,
        batches,
        totalSteps: train.steps,
        ...(request.stopAfter === undefined ? {} : { stopAfter: request.stopAfter }),
        accumulation: (taken) => taken.reduce((sum, { targetTokens }) => sum + targetTokens, 0) >= train.updateTokens,
        evaluateEvery: train.evalEvery,
        ...(train.patience === null ? {} : { patience: train.patience }),
        saveBest: true,
        checkpointEvery: train.checkpointEvery,
        keepCheckpoints: train.keepCheckpoints,
        routingEvery: train.routingEvery,
        resume,
        ...(resumeFrom === undefined ? {} : { resumeFrom }),
        saved: { config: config as unknown as JsonObject, tokenizerHash: tokenizer.hash, backend: engine.backend.name, [DATA_FINGERPRINT]: fingerprint },
        files: { 'tokenizer.json': tokenizerToJson(tokenizer) },
        checkSaved: async (saved, where, step) => {
          checkTokenizer(saved, tokenizer.hash, where);
          checkData(saved, { fingerprint, directory: dataset.directory }, where, (note) => stream.write(`${note}\n`));
          checkResumable(saved.config, config, where);
          if (saved.backend !== engine.backend.name) stream.write(`The run was trained on ${String(saved.backend)} so far: it goes on, but not bit for bit\n`);
          await recordChanges(out, request.resumed!, { config, step, stream });
        },
        evaluate: validation.validate,
        checkHeld,
        stop,
        stream,
      });
      if (outcome.completed) markTrained();
      if (request.profile) stream.write(profileText(await engine.profiler?.stop()));
      return use({ request, device, dataset, model, parameters, ...validation, outcome, stop });
    });
  } finally {
    trainer.dispose();
  }
}

/** The trainer of a translation model. */
function createTranslationTrainer(engine: Engine, config: Config, model: XMoETranslator, parameters: Record<string, Tensor>): Trainer<ParallelBatch> {
  const { train } = config;
  return createTrainer<ParallelBatch, TranslationBatch, RoutingTrace>({
    engine,
    specs: model.parameters,
    parameters,
    optimizer: optimizerOf(train),
    schedule: scheduleOf(train),
    seed: train.seed,
    computeDType: train.precision,
    upload: createUploader(engine, model.config.vocabularySize),
    shapeOf,
    countTargets: ({ targetTokens }) => targetTokens,
    loss: (weights, batch, context, options) => model.loss(weights, batch, context, options),
    summarizeTrace: routingReader(config, 3),
  });
}

function batchSource({ train, data }: Config, dataset: ParallelDataset): BatchSource<ParallelBatch> {
  const sampler = createParallelSampler({
    split: dataset.split('train'), tokens: dataset.tokens, seed: train.seed, maxTokens: train.batchTokens, maximumLength: data.maximumTokens,
  });
  return { next: () => sampler.next(), state: () => ({ ...sampler.state() }), restore: (state) => sampler.restore(state as never) };
}

/** What scores the parameters as they are on the validation split, greedily; and what translates lines with them. */
function createValidation(config: Config, engine: Engine, dataset: ParallelDataset, parameters: Record<string, Tensor>): Pick<TrainedModel, 'dropless' | 'lines' | 'validate'> {
  const { tokenizer, tokens } = dataset;
  const { train, decoding } = config;
  const model = createTranslationModelFromConfig(droplessOf(config), tokenizer.vocabularySize);
  const translator = createTranslator({ engine, config, model, parameters, tokens });
  const lines = createLineTranslator({ translator, tokenizer, tokens, languages: dataset.languages, limits: sourceLimits(config) });
  return {
    dropless: model,
    lines,
    async validate() {
      const { loss } = await referenceLoss({
        engine, model, parameters, dataset, split: 'validation', computeDType: train.precision, summarizeTrace: routingReader(config, 1),
      });
      const pairs = await translatePairs({ lines, dataset, split: 'validation', pairs: train.evalPairs, ...decoding, beam: 1 });
      const { bleu, chrf } = scoreTranslations(pairs!.hypotheses, pairs!.references, bleuTokenizerOf(config));
      const metric = { loss, bleu: -bleu.score, chrf: -chrf.score }[train.bestBy];
      return { loss, perplexity: Math.exp(loss), scores: { bleu: bleu.score, chrf: chrf.score }, metric };
    },
  };
}
