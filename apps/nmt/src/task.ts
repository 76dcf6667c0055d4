// Translation as a task: its configuration, data, model, batches, validation and closing words. The run around it is in @xmoe/program.
import { join } from 'node:path';
import { initializeParameters, randomKey, XMoEError } from '@xmoe/core';
import {
  bytesOf, createLineTranslator, createTranslationModelFromConfig, createTranslationTrainer, createTranslator, droplessTranslationConfig, sourceLimits,
  translationMemoryNeeds,
  translationModelSize, translationVocabulary,
} from '@xmoe/models';
import { createParallelSampler, type ParallelBatch } from '@xmoe/text';
import { openParallelDataset } from '@xmoe/text/node';
import { formatCompact, loadParameters } from '@xmoe/train';
import { alignedFacts, memoryFacts, RUN_FILES, type Task } from '@xmoe/program';
import { checkHeldOut, checkSplits } from './check-splits.js';
import { closingText } from './closing-text.js';
import { checkResumable, configs, PROGRAM, type Config } from './config.js';
import { finishRun } from './finish.js';
import { readInitial } from './initial.js';
import { prepareWithProgress } from './prepare-with-progress.js';
import { reportTitle } from './run-report.js';
import { readRecord } from './session.js';
import type { TranslationData, TranslationTraining } from './translation-run.js';
import { scoreValidation } from './validate.js';

export const translationTask: Task<Config, TranslationData, TranslationTraining, ParallelBatch> = {
  configuration: { program: PROGRAM, resolver: configs, readRecord, checkResumable, readInitial },
  describe: {
    headline,
    title: (preset, { data }) => reportTitle(preset, `${data.sourceLanguage}-${data.targetLanguage}`),
    dryRun,
    needs(config, ranks) {
      checkHeldOut(config);
      return translationMemoryNeeds(config, translationVocabulary(config) ?? 0, ranks);
    },
  },
  async prepare(config, { root, found, stream }) {
    const dataset = found === undefined ? await prepareWithProgress(config.data, root, stream) : await openParallelDataset(found);
    try {
      checkSplits(dataset, config);
    } catch (error) {
      dataset.close();
      throw error;
    }
    return { dataset, tokenizer: dataset.tokenizer };
  },
  build(config, engine, { dataset, tokenizer }, initial, ranks) {
    const model = createTranslationModelFromConfig(config, tokenizer.vocabularySize, ranks.experts);
    const parameters = initializeParameters(engine, model.parameters, randomKey(config.train.seed));
    if (initial) loadParameters(parameters, model.parameters, initial.tensors, initial.where);
    const trainer = createTranslationTrainer(engine, config, model, parameters, ranks);
    const whole = createTranslationModelFromConfig(droplessTranslationConfig(config), tokenizer.vocabularySize, ranks.experts);
    const { tokens, languages } = dataset;
    const translator = createTranslator({ engine, config, model: whole, parameters, tokens });
    const lines = createLineTranslator({ translator, tokenizer, tokens, languages, limits: sourceLimits(config) });
    return { model, parameters, trainer, dropless: whole, lines };
  },
  batches({ train, data }, { dataset }) {
    const sampler = createParallelSampler({
      split: dataset.split('train'), tokens: dataset.tokens, seed: train.seed, maxTokens: train.batchTokens, maximumLength: data.maximumTokens,
    });
    return {
      source: { next: () => sampler.next(), state: () => ({ ...sampler.state() }), restore: (state) => sampler.restore(state as never) },
      accumulation: (taken) => taken.reduce((sum, { targetTokens }) => sum + targetTokens, 0) >= train.updateTokens,
      ...(train.patience === null ? {} : { patience: train.patience }),
      saveBest: true,
    };
  },
  validate: (run) => () => scoreValidation(run),
  async finish(run, outcome) {
    const finished = await finishRun(run, outcome);
    if (!finished) return null;
    const text = closingText(finished, join(run.plan.out, RUN_FILES.checkpoints));
    const { testLoss } = finished.summary;
    return { text, document: finished, ...(Number.isFinite(Math.exp(testLoss)) ? {} : { problem: `test loss ${testLoss}` }) };
  },
};

function headline({ model, moe, train, data }: Config): string {
  const experts = moe
    ? `${moe.experts} experts of ${moe.expertHidden} in the ${moe.side === 'both' ? 'encoder and decoder' : moe.side} (${moe.router.type}, ${moe.dispatch}, γ = ${moe.capacityFactor})`
    : 'dense';
  return `${data.sourceLanguage}-${data.targetLanguage}, ${model.encoderLayers} + ${model.decoderLayers} layers of width ${model.width}, ${experts}, ${train.steps} ${train.steps === 1 ? 'step' : 'steps'}`;
}

/** Tokens of each side of the pair that FLOPs are told for. */
const PAIR_LENGTH = 32;

/** What a run of this configuration would be. */
function dryRun(preset: string, config: Config): { text: string; document: object } {
  const { train } = config;
  const vocabularySize = translationVocabulary(config);
  if (vocabularySize === null) throw new XMoEError('config', '--dry-run cannot know the vocabulary of a tokenizer file', { hint: 'use --set data.tokenizer.type=bpe with the vocabularySize of the file' });
  const size = translationModelSize(config, vocabularySize);
  const flops = size.flopsPerPairToken(PAIR_LENGTH);
  const tokens = Math.max(train.updateTokens, train.batchTokens);
  const text = `${preset}: ${headline(config)}\n${alignedFacts([
    ['parameters', `${formatCompact(size.parameters)} (${size.parameters})`],
    ['active per source token', `${formatCompact(size.activePerSource)} (${size.activePerSource}) at the budget`],
    ['active per target token', `${formatCompact(size.activePerTarget)} (${size.activePerTarget}), with the output projection`],
    ['FLOPs per pair of tokens', `${formatCompact(flops)} (${flops}) forward and backward, in sentences of ${PAIR_LENGTH} tokens`],
    ...memoryFacts(train, (ranks) => translationMemoryNeeds(config, vocabularySize, ranks)),
    ['steps', `${train.steps} of about ${formatCompact(tokens)} target tokens, in micro-batches of at most ${train.batchTokens}, ${train.warmupSteps} of warm-up`],
    ['tokens', formatCompact(tokens * train.steps)],
    ['FLOPs', formatCompact(flops * tokens * train.steps)],
  ])}\n`;
  const { parameters, activePerSource, activePerTarget } = size;
  return { text, document: { parameters, activePerSource, activePerTarget, flopsPerPairToken: flops, memoryBytes: bytesOf(translationMemoryNeeds(config, vocabularySize).needs), steps: train.steps, tokensPerStep: tokens, tokens: tokens * train.steps, flops: flops * tokens * train.steps } };
}
