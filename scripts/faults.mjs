// `npm run faults`: installs and builds what is missing, then runs faults/main.ts. What is done to the programs lives there, not here.
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
process.exitCode = await foreground(process.execPath, ['--conditions=@xmoe/source', '--import', tsx, join(root, 'faults', 'main.ts'), ...process.argv.slice(2)]);
