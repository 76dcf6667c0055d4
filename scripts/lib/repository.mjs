// Where things are in this repository, and which tool versions it pins. Runs nothing.
import { readFileSync, readdirSync, existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';

export const root = fileURLToPath(new URL('../../', import.meta.url));

export const readJson = (path) => JSON.parse(readFileSync(path, 'utf8'));

/** The pnpm version that `packageManager` pins, without a hash suffix. */
export const pinnedPnpm = () =>
  readJson(join(root, 'package.json')).packageManager.replace(/^pnpm@/, '').replace(/\+.*$/, '');

/** Folders of packages, and folders that are one. */
const GROUPS = ['packages', 'apps'];
const SINGLE = ['bench', 'examples', 'faults', 'test'];

/** Every workspace package: its directory relative to the root and its parsed manifest. */
export function workspacePackages() {
  const inGroups = GROUPS.filter((group) => existsSync(join(root, group)))
    .flatMap((group) => readdirSync(join(root, group)).sort().map((name) => `${group}/${name}`));
  return [...inGroups, ...SINGLE]
    .map((directory) => ({ directory, path: join(root, directory, 'package.json') }))
    .filter(({ path }) => existsSync(path))
    .map(({ directory, path }) => ({ directory, manifest: readJson(path) }));
}

export const publicPackages = () => workspacePackages().filter(({ manifest }) => !manifest.private);
