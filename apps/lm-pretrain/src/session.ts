// A trained run as the commands use it: a language model on the capacity that it was trained with.
import { openBackend } from '@xmoe/backends';
import { createLanguageModelFromConfig, languageRunSchema, openLanguageRun, type LanguageRun } from '@xmoe/models';
import { openTrained, readRunRecord, type RunRecord, type Trained, type TrainedOptions } from '@xmoe/program';
import { openShards, type TokenDataset } from '@xmoe/text/node';
import { PROGRAM, type Config } from './config.js';

/** config.json of the run in `directory`. */
export const readRecord = (directory: string): Promise<RunRecord<Config>> => readRunRecord(directory, languageRunSchema, PROGRAM);

export type TrainedRun = Pick<LanguageRun, 'tokenizer' | 'model' | 'parameters'> & Trained<Config, TokenDataset>;

/** Opens a run for use. @throws XMoEError naming what does not fit together */
export async function openRun(directory: string, options: TrainedOptions): Promise<TrainedRun> {
  return openTrained(directory, {
    openBackend,
    record: await readRecord(directory),
    openData: openShards,
    open: (contents, engine) => ({ ...openLanguageRun(contents, engine), model: createLanguageModelFromConfig(contents.config, contents.tokenizer.vocabularySize) }),
  }, options);
}
