// `npm run launches`: installs what is missing, then runs bench/launches.ts from the sources: nothing is built, and no GPU is needed.
import './lib/node-version.mjs';

const { installIfNeeded } = await import('./lib/progress.mjs');
const { runTypeScript } = await import('./lib/run-typescript.mjs');

// What --json prints is for programs to read.
await installIfNeeded(process.stderr);
process.exitCode = await runTypeScript('bench/launches.ts', process.argv.slice(2));
