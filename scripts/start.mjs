// `npm start`: installs and builds what is missing, then runs the language-model app.
import './lib/node-version.mjs';

// Imported late: a Node that is too old must stop at the check above, not at newer syntax.
const { runApp } = await import('./lib/run-app.mjs');
process.exitCode = await runApp('lm-pretrain', 'start');
