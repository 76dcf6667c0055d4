// `npm run reproduce`: installs and builds what is missing, then makes the experiments that are named, e.g. `npm run reproduce -- all --scale tiny --jobs 2`.
import './lib/node-version.mjs';

// Imported late: a Node that is too old must stop at the check above, not at newer syntax.
const { runApp } = await import('./lib/run-app.mjs');
process.exitCode = await runApp('lm-pretrain', 'reproduce');
