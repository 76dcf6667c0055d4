// `pnpm bench`: installs and builds what is missing, then runs bench/main.ts, or bench/translation.ts for `pnpm bench translation`.
// The measurements live there, not here.
// The benchmark file is TypeScript, run through tsx; the packages it imports are the built ones that users get, because
// a TypeScript loader wraps functions (to keep their names) and so would slow the very loops that are measured.
import './lib/node-version.mjs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const { buildAll, installIfNeeded } = await import('./lib/progress.mjs');
const { foreground } = await import('./lib/child.mjs');
const { root } = await import('./lib/repository.mjs');

await installIfNeeded();
await buildAll();
// The repository's own copy of tsx, wherever the command was called from.
const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
const [first, ...rest] = process.argv.slice(2);
const [file, args] = first === 'translation' ? ['translation.ts', rest] : ['main.ts', process.argv.slice(2)];
process.exitCode = await foreground(process.execPath, ['--expose-gc', '--import', tsx, join(root, 'bench', file), ...args]);
