// The trainer of a translation model from its configuration, over batches of pairs. The loop around it is not here.
import type { Engine, Tensor } from '@xmoe/core';
import type { RankGroups } from '@xmoe/distributed';
import type { TranslationBatch } from '@xmoe/nn';
import type { ParallelBatch } from '@xmoe/text';
import type { Trainer } from '@xmoe/train';
import { createConfiguredTrainer } from '../sections/configured-trainer.js';
import { createUploader, shapeOf } from './device-batches.js';
import type { TranslationConfig } from './translation-config.js';
import type { XMoETranslator } from './translation-model.js';

/** Batches of one shape share their tensors, which live as long as the engine. */
export function createTranslationTrainer(engine: Engine, config: TranslationConfig, model: XMoETranslator, parameters: Record<string, Tensor>, ranks?: RankGroups): Trainer<ParallelBatch> {
  return createConfiguredTrainer<ParallelBatch, TranslationBatch>(engine, config, model, parameters, {
    upload: createUploader(engine, model.config.vocabularySize),
    shapeOf,
    countTargets: ({ targetTokens }) => targetTokens,
  }, ranks);
}
