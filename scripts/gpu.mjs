// `npm run gpu`: what to run in the first minutes on a GPU (bench/gpu): the device, launches, every tile, training steps with their kernels,
// conformance, PyTorch beside it. One JSON object per line; no phase is lost to another. `--small` shows that it runs, on any adapter,
// `--only "step tiny,conformance"` takes some. `--bundle DIR` puts all it needs into a folder instead (64 MiB at most, no network wanted): carry
// that to the machine and start `run.sh` there.
import './lib/node-version.mjs';
import { join, resolve } from 'node:path';

const { installIfNeeded, step } = await import('./lib/progress.mjs');
const { foreground } = await import('./lib/child.mjs');
const { root } = await import('./lib/repository.mjs');

const args = process.argv.slice(2).filter((arg) => arg !== '--');
// What the phases print is for programs to read.
await installIfNeeded(process.stderr);
const { layOutHere, makeBundle } = await import('./lib/gpu-bundle.mjs');

const at = args.indexOf('--bundle');
if (at >= 0) {
  if (!args[at + 1]) refuse('--bundle wants a folder: npm run gpu -- --bundle DIR');
  const directory = resolve(args[at + 1]);
  let bytes = 0;
  await step('Packing', async () => {
    bytes = await makeBundle(directory);
    return { code: 0, output: '' };
  }, process.stderr);
  process.stdout.write(`${directory}: ${(bytes / 2 ** 20).toFixed(1)} MiB. On the machine with the GPU: sh run.sh > gpu.jsonl\n`);
} else {
  let script;
  await step('Bundling', async () => {
    script = await layOutHere(join(root, '.xmoe', 'gpu'));
    return { code: 0, output: '' };
  }, process.stderr);
  process.exitCode = await foreground(process.execPath, [script, ...args]);
}

function refuse(why) {
  process.stderr.write(`${why}\n`);
  process.exit(2);
}
