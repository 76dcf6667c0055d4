// `npm run tfjs:native`: installs what is missing, then runs xmoe-tfjs-native from the sources, which makes tfjs:node work on this machine.
import './lib/node-version.mjs';

const { installIfNeeded } = await import('./lib/progress.mjs');
const { runTypeScript } = await import('./lib/run-typescript.mjs');

await installIfNeeded();
process.exitCode = await runTypeScript('packages/backend-tfjs/src/native/cli.ts', process.argv.slice(2));
