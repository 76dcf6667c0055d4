// `npm run faults`: installs and builds what is missing, then runs faults/main.ts. What is done to the programs lives there, not here.
import './lib/node-version.mjs';

const { buildAll, installIfNeeded } = await import('./lib/progress.mjs');
const { runTypeScript } = await import('./lib/run-typescript.mjs');

await installIfNeeded();
await buildAll();
process.exitCode = await runTypeScript('faults/main.ts', process.argv.slice(2));
