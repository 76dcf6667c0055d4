// The checkpoint of a run that a user names: `best`, `latest`, by name or by path. Saving and listing are the store's.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { nearestName, XMoEError } from '@xmoe/core';
import { rankCheckpoints } from './average.js';
import { createCheckpointStore, type CheckpointStore, type LoadedCheckpoint } from './store.js';

/** Their folder in a run directory. */
const CHECKPOINTS = 'checkpoints';

export interface CheckpointChoice {
  /** `best`, `latest`, the name of one in the run, or a path. */
  checkpoint: string;
  onWarning: (message: string) => void;
}

/** The checkpoint of a run that a user names. The best of those that are whole, for `best`; the latest where none was measured. */
export async function loadRunCheckpoint(directory: string, { checkpoint: which, onWarning }: CheckpointChoice): Promise<LoadedCheckpoint> {
  const checkpoints = join(directory, CHECKPOINTS);
  const store = createCheckpointStore({ directory: checkpoints, onWarning });
  if (which === 'latest') return store.loadLatest();
  if (which !== 'best') return store.load(await locateCheckpoint(directory, which, store));
  for (const path of await rankCheckpoints(checkpoints)) {
    try {
      return await store.load(path);
    } catch (error) {
      onWarning(`checkpoint ${path} is skipped: ${(error as Error).message}`);
    }
  }
  return store.loadLatest();
}

/** The path of a checkpoint by its name in the run or by a path. @throws XMoEError `checkpoint` that says which there are */
export async function locateCheckpoint(directory: string, which: string, store: Pick<CheckpointStore, 'list'>): Promise<string> {
  for (const path of [join(directory, CHECKPOINTS, which), which]) if (existsSync(path)) return path;
  const names = (await store.list()).map(({ name }) => name);
  const near = nearestName(which, [...names, 'best', 'latest']);
  throw new XMoEError('checkpoint', `there is no checkpoint ${JSON.stringify(which)}`, {
    hint: near !== undefined ? `did you mean ${near}?` : names.length > 0 ? `checkpoints there: ${names.join(', ')}; also best and latest` : `${directory} holds none`,
  });
}
