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

const bundle = bundleFolder();
if (bundle !== undefined) {
  const directory = resolve(bundle);
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

/** What --bundle names, which goes with no other flag; undefined without it. */
function bundleFolder() {
  const at = args.findIndex((arg) => arg === '--bundle' || arg.startsWith('--bundle='));
  if (at < 0) return undefined;
  const [folder, ...others] = args[at] === '--bundle' ? args.slice(at + 1) : [args[at].slice('--bundle='.length), ...args.slice(at + 1)];
  if (folder && !folder.startsWith('-') && at === 0 && others.length === 0) return folder;
  process.stderr.write('--bundle wants a folder and nothing else: npm run gpu -- --bundle DIR\n');
  process.exit(2);
}
