// The trainer of a language model from its configuration. The loop around it is not here.
import type { Engine, Tensor } from '@xmoe/core';
import type { RankGroups } from '@xmoe/distributed';
import { checkIds, type LanguageModelBatch } from '@xmoe/nn';
import type { TokenBatch } from '@xmoe/text';
import type { Trainer } from '@xmoe/train';
import { createConfiguredTrainer } from '../sections/configured-trainer.js';
import type { LanguageConfig } from './language-config.js';
import type { XMoELanguageModel } from './language-model.js';

/** The model with what is not trained marked so. */
function trainedPart(model: XMoELanguageModel, trainable: LanguageConfig['train']['trainable']): XMoELanguageModel {
  if (trainable === 'all') return model;
  return { ...model, parameters: model.parameters.map((spec) => (spec.name.endsWith('.router.weight') ? spec : { ...spec, trained: false })) };
}

/** Batches go to two tensors that live as long as the engine. */
export function createLanguageModelTrainer(engine: Engine, config: LanguageConfig, model: XMoELanguageModel, parameters: Record<string, Tensor>, ranks?: RankGroups): Trainer<TokenBatch> {
  const shape = { batch: config.train.batchSize, length: config.model.contextLength };
  const inputs = engine.zeros([shape.batch * shape.length], 'int32').keep();
  const targets = engine.zeros([shape.batch * shape.length], 'int32').keep();
  return createConfiguredTrainer<TokenBatch, LanguageModelBatch>(engine, config, trainedPart(model, config.train.trainable), parameters, {
    upload(batch) {
      checkIds('inputs', batch.inputs, model.config.vocabularySize);
      checkIds('targets', batch.targets, model.config.vocabularySize, { none: true });
      inputs.write(batch.inputs);
      targets.write(batch.targets);
      return { shape, inputs, targets };
    },
    countTargets: (batch) => batch.targets.length,
  }, ranks);
}
