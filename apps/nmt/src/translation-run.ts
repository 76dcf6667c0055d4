// What an open training of a translation model holds. Types only.
import type { Tensor } from '@xmoe/core';
import type { LineTranslator, XMoETranslator } from '@xmoe/models';
import type { TaskData, TaskModel, TrainingRun } from '@xmoe/program';
import type { ParallelBatch, ParallelDataset } from '@xmoe/text';
import type { Config } from './config.js';

export interface TranslationData extends TaskData {
  readonly dataset: ParallelDataset;
}

export interface TranslationTraining extends TaskModel<ParallelBatch> {
  readonly model: XMoETranslator;
  readonly parameters: Record<string, Tensor>;
  /** The same model with nothing dropped. */
  readonly dropless: XMoETranslator;
  /** Of that one, with the parameters as they are when it is called. */
  readonly lines: LineTranslator;
}

export type TranslationRun = TrainingRun<Config, TranslationData, TranslationTraining>;

/** What scoring and translating need of one. */
export type ScoredRun = Pick<TranslationRun, 'plan' | 'ranks' | 'device' | 'data' | 'model'>;
