// Where things are in this repository, and which tool versions it pins. Runs nothing.
import { readFileSync, readdirSync, existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';

export const root = fileURLToPath(new URL('../../', import.meta.url));

export const readJson = (path) => JSON.parse(readFileSync(path, 'utf8'));

/** The pnpm version that `packageManager` pins, without a hash suffix. */
export const pinnedPnpm = () =>
  readJson(join(root, 'package.json')).packageManager.replace(/^pnpm@/, '').replace(/\+.*$/, '');

/** Every workspace package: its directory relative to the root and its parsed manifest. */
export function workspacePackages() {
  const found = [];
  for (const group of ['packages', 'apps']) {
    if (!existsSync(join(root, group))) continue;
    for (const name of readdirSync(join(root, group)).sort()) {
      const manifest = join(root, group, name, 'package.json');
      if (existsSync(manifest)) found.push({ directory: `${group}/${name}`, manifest: readJson(manifest) });
    }
  }
  return found;
}

export const publicPackages = () => workspacePackages().filter(({ manifest }) => !manifest.private);
