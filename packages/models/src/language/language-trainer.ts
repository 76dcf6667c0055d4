// The trainer of a language model from its configuration. The loop around it is not here.
import type { Engine, Tensor } from '@xmoe/core';
import type { RoutingTrace } from '@xmoe/moe';
import { checkIds, type LanguageModelBatch } from '@xmoe/nn';
import type { TokenBatch } from '@xmoe/text';
import { createTrainer, type Trainer } from '@xmoe/train';
import { routingReader } from '../routing-reader.js';
import { optimizerOf, scheduleOf } from '../sections/training.js';
import type { LanguageConfig } from './language-config.js';
import type { XMoELanguageModel } from './language-model.js';

/** Batches go to two tensors that live as long as the engine. */
export function createLanguageModelTrainer(engine: Engine, config: LanguageConfig, model: XMoELanguageModel, parameters: Record<string, Tensor>): Trainer<TokenBatch> {
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
