// The language model as a task: its configuration, data, model, batches, validation and closing words. The run around it is in
// @xmoe/program.
import { join } from 'node:path';
import { initializeParameters, randomKey } from '@xmoe/core';
import {
  createLanguageModelFromConfig, createLanguageModelTrainer, bytesOf, languageMemoryNeeds, languageModelSize, languageVocabulary, routingReader,
} from '@xmoe/models';
import { createBatchSampler, type TokenBatch } from '@xmoe/text';
import { formatCompact, loadParameters } from '@xmoe/train';
import { alignedFacts, memoryFacts, RUN_FILES, type Finished, type Task } from '@xmoe/program';
import { closingText } from './closing-text.js';
import { checkResumable, configs, PROGRAM, type Config } from './config.js';
import { openPrepared, prepareData, usableSplits } from './data.js';
import { evaluate } from './evaluate.js';
import { finishRun } from './finish.js';
import { readInitial } from './initial.js';
import type { LanguageData, LanguageTraining } from './language-run.js';
import { reportTitle } from './run-report.js';
import { readRecord } from './session.js';

export const languageTask: Task<Config, LanguageData, LanguageTraining, TokenBatch> = {
  configuration: { program: PROGRAM, resolver: configs, readRecord, checkResumable, readInitial },
  describe: { headline, title: reportTitle, dryRun, needs: (config, ranks) => languageMemoryNeeds(config, languageVocabulary(config), ranks) },
  async prepare(config, { root, found, stream }) {
    const notify = (message: string): void => void stream.write(`${message}\n`);
    const data = found === undefined ? await prepareData(config, root, notify) : await openPrepared(found);
    try {
      return { ...data, splits: usableSplits(data, config, notify) };
    } catch (error) {
      data.dataset.close();
      throw error;
    }
  },
  build(config, engine, { tokenizer }, initial, ranks) {
    const model = createLanguageModelFromConfig(config, tokenizer.vocabularySize, { experts: ranks.experts });
    const parameters = initializeParameters(engine, model.parameters, randomKey(config.train.seed));
    if (initial) loadParameters(parameters, model.parameters, initial.tensors, initial.where);
    return { model, parameters, trainer: createLanguageModelTrainer(engine, config, model, parameters, ranks) };
  },
  batches({ model, train }, { dataset }) {
    const sampler = createBatchSampler({ split: dataset.split('train'), batchSize: train.batchSize, sequenceLength: model.contextLength, seed: train.seed });
    return {
      source: { next: () => sampler.next(), state: () => ({ ...sampler.state() }), restore: (state) => sampler.restore(state as never) },
      accumulation: train.accumulation,
    };
  },
  validate({ plan: { config }, ranks, device: { engine }, data: { dataset, splits, tokenizer }, model: { model, parameters } }) {
    if (!splits.validation) return undefined;
    const { batchSize, precision, evalWindows } = config.train;
    return () => evaluate({
      engine, model, parameters, split: dataset.split('validation'), tokenizer, batchSize, computeDType: precision,
      summarizeTrace: routingReader(config, 1), maxWindows: evalWindows, ranks,
    });
  },
  async finish(run, outcome): Promise<Finished | null> {
    const finished = await finishRun(run, outcome);
    if (!finished) return null;
    const text = closingText(finished, join(run.plan.out, RUN_FILES.checkpoints));
    const { testPerplexity } = finished.summary; // absent without a test split
    const ended: Finished = { text, document: finished };
    if (testPerplexity === undefined) return outcome.skippedInARow > 0 ? { ...ended, problem: 'its last update was skipped' } : ended;
    return Number.isFinite(testPerplexity) ? ended : { ...ended, problem: `test perplexity ${testPerplexity}` };
  },
};

function headline({ model, moe, train }: Config): string {
  const experts = moe ? `${moe.experts} experts of ${moe.expertHidden} (${moe.router.type}, ${moe.dispatch}, γ = ${moe.capacityFactor})` : 'dense';
  return `${model.layers} ${model.layers === 1 ? 'layer' : 'layers'} of width ${model.width}, ${experts}, ${train.steps} ${train.steps === 1 ? 'step' : 'steps'}`;
}

/** What a run of this configuration would be. */
function dryRun(preset: string, config: Config): { text: string; document: object } {
  const { train, model: shape } = config;
  const vocabularySize = languageVocabulary(config);
  const size = languageModelSize(config, vocabularySize);
  const tokensPerStep = train.batchSize * train.accumulation * shape.contextLength;
  const tokens = tokensPerStep * train.steps;
  const text = `${preset}: ${headline(config)}\n${alignedFacts([
    ['parameters', `${formatCompact(size.parameters)} (${size.parameters})`],
    ['active per token', `${formatCompact(size.activeParameters)} at the budget, with the output projection`],
    ['FLOPs per token', `${formatCompact(size.flopsPerToken)} forward and backward`],
    ...memoryFacts(train, (ranks) => languageMemoryNeeds(config, vocabularySize, ranks)),
    ['steps', `${train.steps} of ${train.batchSize * train.accumulation} sequences of ${shape.contextLength} tokens, ${train.warmupSteps} of warm-up`],
    ['tokens', `${formatCompact(tokens)} (${formatCompact(tokensPerStep)} per step)`],
    ['FLOPs', formatCompact(size.flopsPerToken * tokens)],
  ])}\n`;
  return { text, document: { ...size, memoryBytes: bytesOf(languageMemoryNeeds(config, vocabularySize).needs), steps: train.steps, tokensPerStep, tokens, flops: size.flopsPerToken * tokens } };
}
