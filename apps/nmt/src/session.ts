// A trained run as the commands use it: a translator, with nothing dropped.
import { openBackend } from '@xmoe/backends';
import { XMoEError } from '@xmoe/core';
import { openTranslationRun, translationRunSchema, type TranslationRun } from '@xmoe/models';
import { hasThreshold } from '@xmoe/models/sections';
import { openTrained, readRunRecord, type RunRecord, type Trained, type TrainedOptions } from '@xmoe/program';
import type { ParallelDataset } from '@xmoe/text';
import { openParallelDataset } from '@xmoe/text/node';
import { PROGRAM, type Config } from './config.js';

/** config.json of the run in `directory`. */
export const readRecord = (directory: string): Promise<RunRecord<Config>> => readRunRecord(directory, translationRunSchema, PROGRAM);

export type TrainedRun = TranslationRun & Trained<Config, ParallelDataset>;

export interface OpenRunOptions extends TrainedOptions {
  /** Instead of `decoding.threshold`. */
  readonly threshold?: number;
}

/** Opens a run for use. @throws XMoEError naming what does not fit together */
export async function openRun(directory: string, options: OpenRunOptions): Promise<TrainedRun> {
  const record = await readRecord(directory);
  const parts = { openBackend, record: { ...record, config: withThreshold(record.config, options.threshold) }, open: openTranslationRun, openData: openParallelDataset };
  return openTrained(directory, parts, options);
}

/** @throws XMoEError `value` or `config` */
export function withThreshold(config: Config, threshold: number | undefined): Config {
  if (threshold === undefined) return config;
  if (threshold < 0 || threshold > 1) throw new XMoEError('value', `the threshold is ${threshold}`, { hint: 'pass a number from 0 to 1' });
  if (!config.moe || !hasThreshold(config.moe.router)) {
    throw new XMoEError('config', `the run ${config.moe ? `uses the ${config.moe.router.type} router, which` : 'is dense: it'} has no threshold`, { hint: 'leave --threshold out' });
  }
  return { ...config, decoding: { ...config.decoding, threshold } };
}
