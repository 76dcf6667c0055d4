// Installs the optional peers of `pnpm bench --peers` into the folder of XMOE_PEERS (default .xmoe/peers): jax-js and ONNX Runtime with npm,
// PyTorch, numpy and transformers with pip in a virtual environment. Nothing else of the repository needs them; deleting the folder removes them.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, statfsSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../', import.meta.url));
const folder = resolve(root, process.env.XMOE_PEERS || join('.xmoe', 'peers'));
const windows = process.platform === 'win32';

/** On Linux pip's PyTorch brings the libraries for NVIDIA GPUs along, used or not. */
const TORCH_GIB = 8;

const PEERS = {
  jax: () => npmInstall('@jax-js/jax@0.1.25'),
  /** The libraries for the CPU are inside the package. Its install script, which is not run, gets those for NVIDIA GPUs. */
  onnx: () => npmInstall('onnxruntime-node@1.30.0'),
  torch() {
    const { bavail, bsize } = statfsSync(folder);
    const free = (bavail * bsize) / 2 ** 30;
    if (free < TORCH_GIB) fail(`PyTorch wants ${TORCH_GIB} GiB of disk, ${free.toFixed(1)} are free`, 'set XMOE_PEERS to a folder on another disk');
    pipInstall(['torch', 'numpy', 'transformers'], 'python3-torch');
  },
  numpy: () => pipInstall(['numpy'], 'python3-numpy'),
};

/** Into a virtual environment of its own. */
function pipInstall(what, debian) {
  const hint = `or use a Python that has it: on Debian \`apt-get install ${debian}\`, elsewhere set XMOE_PYTHON to its executable`;
  run(windows ? 'python' : 'python3', ['-m', 'venv', 'python'], { hint });
  run(join(folder, 'python', windows ? 'Scripts/python.exe' : 'bin/python'), ['-m', 'pip', 'install', '--no-cache-dir', '--disable-pip-version-check', ...what], { hint });
}

function npmInstall(what) {
  if (!existsSync(join(folder, 'package.json'))) writeFileSync(join(folder, 'package.json'), '{ "private": true }\n');
  run('npm', ['install', '--no-audit', '--no-fund', '--ignore-scripts', what], { shell: windows });
}

function run(command, args, { shell = false, hint = 'are you online?' } = {}) {
  process.stdout.write(`${command} ${args.join(' ')}\n`);
  const { status, error } = spawnSync(command, args, { cwd: folder, stdio: 'inherit', shell });
  if (status !== 0) fail(`${command} ${error ? `does not start: ${error.message}` : `failed (exit code ${status})`}`, hint);
}

function fail(message, hint) {
  process.stderr.write(`${message} (${hint})\n`);
  process.exit(1);
}

const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(PEERS);
const unknown = names.find((name) => !Object.hasOwn(PEERS, name));
if (unknown !== undefined) fail(`there is no peer ${unknown}`, `one of ${Object.keys(PEERS).join(', ')}`);
mkdirSync(folder, { recursive: true });
for (const name of names) PEERS[name]();
process.stdout.write(`Installed in ${folder}: ${names.join(', ')}\n`);
