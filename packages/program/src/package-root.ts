// Finds the folder of the package a module belongs to, so that its package.json is found
// both from the sources and from the bundle, which lie at different depths. Reads no data file itself.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * The nearest folder at or above a module that holds a package.json.
 * @param moduleUrl the caller's `import.meta.url`
 * @throws Error when no folder up to the root has one: the program was moved out of its package
 */
export function packageRoot(moduleUrl: string): string {
  const start = dirname(fileURLToPath(moduleUrl));
  for (let folder = start; ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'package.json'))) return folder;
    if (folder === dirname(folder)) throw new Error(`no package.json at or above ${start}`);
  }
}

/** The version in that package.json. */
export function locateVersion(moduleUrl: string): string {
  return (JSON.parse(readFileSync(join(packageRoot(moduleUrl), 'package.json'), 'utf8')) as { version: string }).version;
}
