// `npm start`: installs and builds what is missing, then runs the language-model app. Holds no logic of the app.
import './lib/node-version.mjs';
import { join } from 'node:path';

// Imported late: a Node that is too old must stop at the check above, not at newer syntax.
const { buildApp, installIfNeeded } = await import('./lib/progress.mjs');
const { foreground } = await import('./lib/child.mjs');
const { root } = await import('./lib/repository.mjs');

await installIfNeeded();
await buildApp('@xmoe/lm-pretrain');
const cli = join(root, 'apps', 'lm-pretrain', 'dist', 'cli.js');
process.exitCode = await foreground(process.execPath, [cli, 'start', ...process.argv.slice(2)]);
