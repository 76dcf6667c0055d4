// A run opened from its directory. What is made of the files is open-run.ts.
import { join } from 'node:path';
import { describeArgument, XMoEError, type Engine } from '@xmoe/core';
import { loadTokenizer } from '@xmoe/text/node';
import { loadRunCheckpoint, readConfigText } from '@xmoe/train/node';
import { openRunOf, type LanguageRun, type TranslationRun } from './open-run.js';

export interface OpenRunOptions {
  /** `best`, `latest`, the name of a checkpoint in the run, or a path. Default: best. */
  readonly checkpoint?: string;
  /** Told about damaged checkpoints that are skipped. Default: a warning of the process. */
  readonly onWarning?: (message: string) => void;
}

/**
 * Opens the run in `directory`, which xmoe-lm or xmoe-nmt trained, on an engine.
 * @throws XMoEError `config`, `data` or `checkpoint` naming what is missing or does not fit together
 */
export async function openRun(directory: string, engine: Engine, { checkpoint = 'best', onWarning }: OpenRunOptions = {}): Promise<LanguageRun | TranslationRun> {
  if (typeof directory !== 'string') throw new XMoEError('value', `the directory is ${describeArgument(directory)}`, { op: 'openRun', hint: 'pass the path of a run, then the engine' });
  const config = await readConfigText(join(directory, 'config.json')).catch((cause: unknown) => {
    if (cause instanceof XMoEError) throw cause;
    throw new XMoEError('config', `${directory} holds no run: config.json is not there`, { hint: 'name the directory that train wrote', cause });
  });
  const warn = onWarning ?? ((message: string) => process.emitWarning(message, { type: 'XMoEWarning' }));
  const { path, tensors } = await loadRunCheckpoint(directory, { checkpoint, onWarning: warn });
  return openRunOf(config, { tokenizer: await loadTokenizer(path), parameters: tensors.parameters ?? [], where: path }, engine);
}
