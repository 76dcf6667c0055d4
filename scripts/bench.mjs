// `pnpm bench`: installs and builds what is missing, then runs bench/main.ts, or the file of its name for `pnpm bench translation`,
// `pnpm bench serve`, `pnpm bench scaling` and `pnpm bench memory`.
// The measurements live there, not here.
// The benchmark file is TypeScript, run through tsx; the packages it imports are the built ones that users get, because
// a TypeScript loader wraps functions (to keep their names) and so would slow the very loops that are measured.
import './lib/node-version.mjs';

const { buildAll, installIfNeeded } = await import('./lib/progress.mjs');
const { runTypeScript } = await import('./lib/run-typescript.mjs');

await installIfNeeded();
await buildAll();
// pnpm hands its own separator on.
const given = process.argv[2] === '--' ? process.argv.slice(3) : process.argv.slice(2);
const [file, args] = ['translation', 'serve', 'scaling', 'memory'].includes(given[0]) ? [`${given[0]}.ts`, given.slice(1)] : ['main.ts', given];
process.exitCode = await runTypeScript(`bench/${file}`, args, ['--expose-gc']);
