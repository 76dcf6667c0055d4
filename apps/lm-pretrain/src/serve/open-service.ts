// A language model behind HTTP: completions, and the routing of texts, at the threshold of training or another.
import { XMoEError } from '@xmoe/core';
import { createLanguageModelFromConfig, createTextGenerator, droplessLanguageConfig, type XMoELanguageModel } from '@xmoe/models';
import { MOST_ROUTED_CHARACTERS, routingAnswer, type Handler, type OpenService } from '@xmoe/program/serve';
import { formatCompact } from '@xmoe/train';
import { z } from 'zod';
import type { Config } from '../config.js';
import { routeText } from '../inspect.js';
import { openRun, type TrainedRun } from '../session.js';
import { completionsHandler } from './completions.js';

/** Thresholds in use at once: a model of one costs its tables alone, but they are a client's to name. */
const MOST_MODELS = 64;

export const openLanguageService: OpenService = async (directory, { maxTokens = 1024, maxRunning, modelName, ...options }) => {
  const run = await openRun(directory, options);
  const { record: { config }, tokenizer, parameters, device: { engine } } = run;
  const generator = createTextGenerator({ engine, parameters, tokenizer, computeDType: config.train.precision, most: maxRunning });
  const models = new Map<number | undefined, XMoELanguageModel>();
  const modelAt = (threshold: number | undefined): XMoELanguageModel => {
    const known = models.get(threshold);
    if (known) return known;
    const model = createLanguageModelFromConfig(droplessLanguageConfig(withThreshold(config, threshold)), tokenizer.vocabularySize);
    if (models.size >= MOST_MODELS) models.delete(models.keys().next().value);
    models.set(threshold, model);
    return model;
  };
  const { moe, model } = config;
  return {
    routes: {
      'POST /v1/completions': completionsHandler({ generator, tokenizer, name: modelName, mostTokens: maxTokens, modelAt }),
      'POST /route': routeHandler(run),
    },
    page: {
      task: 'language',
      about: `Language model of ${formatCompact(parameterCount(run))} parameters, context ${model.contextLength}${moe ? `, ${moe.experts} experts (${moe.router.type})` : ', dense'}; ${run.checkpoint.path}`,
      example: 'The ',
      threshold: thresholdOf(config),
      capacityFactor: moe?.capacityFactor ?? null,
    },
    created: Math.floor(Date.now() / 1000),
    load: generator.load,
    close: run.close,
  };
};

const routeSchema = z.strictObject({
  text: z.string().min(1).max(MOST_ROUTED_CHARACTERS),
  threshold: z.number().min(0).max(1).nullish(),
  /** Shows what a capacity would drop; left out, nothing is. */
  capacity_factor: z.number().positive().max(65_536).nullish(),
});

function routeHandler(run: TrainedRun): Handler {
  const { config } = run.record;
  return async (call) => {
    const { text, threshold, capacity_factor: gamma } = await call.body(routeSchema);
    const chosen = withThreshold(config, threshold ?? undefined);
    const routed = gamma === undefined || gamma === null ? droplessLanguageConfig(chosen) : withCapacity(chosen, gamma);
    const model = createLanguageModelFromConfig(routed, run.tokenizer.vocabularySize);
    call.json(routingAnswer(await routeText({ ...run, model }, run.tokenizer.encode(text))));
  };
}

function thresholdOf({ moe }: Config): number | null {
  return moe && moe.router.type === 'threshold' ? moe.router.threshold : null;
}

/** @throws XMoEError `value` for a model whose router is another one */
function withThreshold(config: Config, threshold: number | undefined): Config {
  if (threshold === undefined) return config;
  const { moe } = config;
  if (moe?.router.type !== 'threshold') throw new XMoEError('value', 'this model has no threshold', { hint: 'leave threshold out' });
  return { ...config, moe: { ...moe, router: { ...moe.router, threshold } } };
}

/** With the dispatch of training, or padded where that has no capacity. */
function withCapacity(config: Config, capacityFactor: number): Config {
  const { moe } = config;
  if (!moe) throw new XMoEError('value', 'this model is dense: it has no capacity', { hint: 'leave capacity_factor out' });
  return { ...config, moe: { ...moe, capacityFactor, dispatch: moe.dispatch === 'grouped' ? 'padded' : moe.dispatch } };
}

function parameterCount({ parameters }: TrainedRun): number {
  return Object.values(parameters).reduce((sum, { size }) => sum + size, 0);
}
