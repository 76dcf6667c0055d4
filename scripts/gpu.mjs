// `npm run gpu`: all that wants a real GPU, in one command: the WebGPU tests on its driver, then the benchmark beside TensorFlow.js
// and PyTorch on the same GPU. Other arguments go to the benchmark (`npm run gpu -- --markdown my-gpu.md`); `--software` takes an
// adapter that is none, to show that it runs.
import './lib/node-version.mjs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const { buildAll, installIfNeeded } = await import('./lib/progress.mjs');
const { foreground } = await import('./lib/child.mjs');
const { root } = await import('./lib/repository.mjs');

/** Files of tests that run on an adapter, by vitest's filters. */
const TESTS = ['packages/backend-webgpu', 'packages/testing/test/webgpu'];

const args = process.argv.slice(2);
const software = args.includes('--software');
await installIfNeeded();
await buildAll();
await requireGpu();
const script = (name, rest) => foreground(process.execPath, [join(root, 'scripts', name), ...rest]);
process.exitCode = (await script('test.mjs', TESTS)) || (await script('bench.mjs', ['--peers', '--backend', 'webgpu', ...args.filter((arg) => arg !== '--software')]));

async function requireGpu() {
  const { createWebGpuBackend } = await import(pathToFileURL(join(root, 'packages', 'backend-webgpu', 'dist', 'index.js')).href);
  const backend = await createWebGpuBackend({ tuning: 'off' }).catch((error) => refuse(`${error.message}\n${error.hint ?? ''}`));
  process.stdout.write(`${backend.description}\n`);
  if (backend.traits.software && !software) refuse('This adapter is a CPU. `npm test` runs the tests on it; `npm run gpu -- --software` runs everything all the same.');
  backend.dispose();
}

function refuse(why) {
  process.stderr.write(`${why}\n`);
  process.exit(1);
}
