// Runs a TypeScript file of the repository in the foreground. Installs and builds nothing.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { foreground } from './child.mjs';
import { root } from './repository.mjs';

/** Reads the packages' sources instead of what was built. */
const FROM_SOURCES = '--conditions=@xmoe/source';

/** Runs `path`, relative to the root, with these flags of Node's; resolves to the exit code. */
export function runTypeScript(path, args, flags = [FROM_SOURCES]) {
  // The repository's own copy of tsx, wherever the command was called from.
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
  return foreground(process.execPath, [...flags, '--import', tsx, join(root, path), ...args]);
}
