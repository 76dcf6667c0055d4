// What an open training of a language model holds. Types only.
import type { Tensor } from '@xmoe/core';
import type { XMoELanguageModel } from '@xmoe/models';
import type { TaskModel, TrainingRun } from '@xmoe/program';
import type { TokenBatch } from '@xmoe/text';
import type { Config } from './config.js';
import type { PreparedData, UsableSplits } from './data.js';

/** Prepared shards, and which held-out splits they have. */
export interface LanguageData extends PreparedData {
  readonly splits: UsableSplits;
}

export interface LanguageTraining extends TaskModel<TokenBatch> {
  readonly model: XMoELanguageModel;
  readonly parameters: Record<string, Tensor>;
}

export type LanguageRun = TrainingRun<Config, LanguageData, LanguageTraining>;
