// A run that nobody trained: weights from elsewhere, kept so that every command that uses a run takes them. A training begins
// with it (--init-from) instead of going on with it.
import { join } from 'node:path';
import { replaceFile } from '@xmoe/files/node';
import { jsonObject } from '@xmoe/files';
import { tokenizerToJson, type BytePairTokenizer } from '@xmoe/text';
import type { StoredTensor } from '@xmoe/train';
import { createCheckpointStore, lockRunDirectory } from '@xmoe/train/node';
import { refuseExistingRun, RUN_FILES, type RunRecord } from './run-directory.js';

export interface WeightsRun<Config> {
  readonly record: Omit<RunRecord<Config>, 'trained'>;
  /** Parameters by name. */
  readonly tensors: readonly StoredTensor[];
  readonly tokenizer: BytePairTokenizer;
}

/** Writes the run `out`, under its lock. Returns the path of its checkpoint. @throws XMoEError `config` when there is a run in `out` */
export async function writeWeightsRun<Config extends object>(out: string, { record, tensors, tokenizer }: WeightsRun<Config>): Promise<string> {
  refuseExistingRun(out);
  const lock = await lockRunDirectory(out);
  try {
    refuseExistingRun(out); // another process may have been quicker
    const saved = { config: jsonObject(record.config, 'the configuration'), tokenizerHash: tokenizer.hash };
    const store = createCheckpointStore({ directory: join(out, RUN_FILES.checkpoints) });
    const { path } = await store.save({ step: 0, tensors: { parameters: [...tensors] }, files: { 'tokenizer.json': tokenizerToJson(tokenizer) }, state: { saved } });
    await replaceFile(join(out, RUN_FILES.config), `${JSON.stringify({ ...record, trained: false }, null, 2)}\n`);
    return path;
  } finally {
    lock.release();
  }
}
