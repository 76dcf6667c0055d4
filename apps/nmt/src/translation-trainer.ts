// The trainer of a translation model over batches of pairs. Not the run around it.
import type { Engine, Tensor } from '@xmoe/core';
import type { RoutingTrace } from '@xmoe/moe';
import type { TranslationBatch } from '@xmoe/nn';
import { createUploader, optimizerOf, routingReader, scheduleOf, shapeOf, type XMoETranslator } from '@xmoe/models';
import type { ParallelBatch } from '@xmoe/text';
import { createTrainer, type Trainer } from '@xmoe/train';
import type { Config } from './config.js';

/** The trainer of a translation model. */
export function createTranslationTrainer(engine: Engine, config: Config, model: XMoETranslator, parameters: Record<string, Tensor>): Trainer<ParallelBatch> {
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
