// `npm run launches`: installs what is missing, then runs bench/launches.ts from the sources: nothing is built, and no GPU is needed.
import './lib/node-version.mjs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const { installIfNeeded } = await import('./lib/progress.mjs');
const { foreground } = await import('./lib/child.mjs');
const { root } = await import('./lib/repository.mjs');

// What --json prints is for programs to read.
await installIfNeeded(process.stderr);
const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
const args = ['--conditions=@xmoe/source', '--import', tsx, join(root, 'bench', 'launches.ts'), ...process.argv.slice(2)];
process.exitCode = await foreground(process.execPath, args);
