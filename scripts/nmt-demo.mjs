// `npm run nmt:demo`: installs and builds what is missing, then trains a small translation model and shows what it does.
import './lib/node-version.mjs';

// Imported late: a Node that is too old must stop at the check above, not at newer syntax.
const { runApp } = await import('./lib/run-app.mjs');
process.exitCode = await runApp('nmt', 'demo');
