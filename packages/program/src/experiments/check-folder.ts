// Whether a folder may hold the experiments that are asked for: it is new, or holds such already.
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { XMoEError } from '@xmoe/core';
import type { JsonObject } from '@xmoe/files';
import { canonical } from './plan-runs.js';
import { EXPERIMENT_FILES, readObject } from './run-files.js';

/**
 * @param identity what plan.json of the folder says
 * @throws XMoEError `config` when the folder is another thing, or holds experiments of another kind
 */
export async function checkFolder(folder: string, identity: JsonObject): Promise<void> {
  if (!existsSync(folder)) return;
  const names = await readdir(folder).catch(() => undefined);
  if (names === undefined) throw new XMoEError('config', `${folder} is not a directory`, { hint: 'choose another --out' });
  if (names.every((name) => name === 'lock')) return;
  const found = readObject(join(folder, EXPERIMENT_FILES.plan));
  if (found === undefined) throw new XMoEError('config', `${folder} holds something else than experiments: ${EXPERIMENT_FILES.plan} is not there`, { hint: 'choose another --out' });
  if (canonical(found) === canonical(identity)) return;
  const what = found.scale === undefined ? `a sweep of ${String(found.program)}` : `experiments of ${String(found.program)} at scale ${String(found.scale)}${found.data === null ? '' : ` on ${String(found.data)}`}`;
  throw new XMoEError('config', `${folder} holds ${what}`, { hint: 'choose another --out, or the command that made it' });
}
