// What to say where no run is: the one with the nearest name, or those that are there. Reads names of directories alone.
import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { nearestName } from '@xmoe/core';

/** As in run-directory.ts, which names more. Other folders than runs have a config.json too. */
const [CONFIG, CHECKPOINTS] = ['config.json', 'checkpoints'];
const MOST_LISTED = 6;

/** Run directories in a folder, the newest first; none where there is no such folder. */
function runsIn(folder: string): string[] {
  try {
    const paths = readdirSync(folder).map((name) => join(folder, name)).filter((path) => existsSync(join(path, CONFIG)) && existsSync(join(path, CHECKPOINTS)));
    return paths.map((path) => ({ path, time: statSync(join(path, CONFIG)).mtimeMs })).sort((a, b) => b.time - a.time).map(({ path }) => path);
  } catch {
    return [];
  }
}

/** In place of `directory`, which holds no run. */
export function runHint(directory: string): string {
  const [beside, usual] = [runsIn(dirname(directory)), runsIn('runs')];
  for (const runs of [beside, usual]) {
    const near = nearestName(basename(directory), runs.map((path) => basename(path)));
    if (near !== undefined) return `did you mean ${runs.find((path) => basename(path) === near)!}?`;
  }
  return listOf(beside.length > 0 ? beside : usual) ?? 'name the directory that train wrote';
}

/** For a command line that names no run; undefined where there is none. */
export const runsHere = (): string | undefined => listOf([...runsIn('runs'), ...runsIn('.')]);

function listOf(runs: readonly string[]): string | undefined {
  if (runs.length === 0) return undefined;
  const more = runs.length - MOST_LISTED;
  return `runs there, the newest first: ${runs.slice(0, MOST_LISTED).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
