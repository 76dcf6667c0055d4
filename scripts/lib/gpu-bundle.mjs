// Puts together all that bench/gpu needs on a machine with a GPU and nothing else: Node, Dawn, one script, the PyTorch programs, the
// Vulkan loader where this machine has one, and what unpacks and starts it. Runs nothing of it.
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync, realpathSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { build } from 'esbuild';
import { root } from './repository.mjs';

const MOST_BYTES = 64 * 2 ** 20;

/** Loaded where they are there; the bundle does not carry them. */
const EXTERNAL = ['webgpu', '@tensorflow/*', 'onnxruntime-node', 'fast-check', 'vitest', '@jax-js/*'];

/** One script of bench/gpu/main.ts and all it imports, from the sources. */
async function bundleScript(file) {
  await build({
    entryPoints: [join(root, 'bench', 'gpu', 'main.ts')], outfile: file, bundle: true, platform: 'node', format: 'esm', target: 'node20', minify: true,
    conditions: ['@xmoe/source'], external: EXTERNAL, logLevel: 'error',
    // What is CommonJS inside asks for `require`.
    banner: { js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);" },
  });
}

const RUN = `#!/bin/sh
# Unpacks what is packed, then runs every phase: one JSON object per line on standard output. Arguments: --small, --only "NAME,NAME".
set -eu
cd "$(dirname "$0")"
unpack() { [ -e "$1" ] || { xz -dk "$1.xz" 2>/dev/null || python3 -c "import lzma,shutil,sys; shutil.copyfileobj(lzma.open(sys.argv[1] + '.xz'), open(sys.argv[1], 'wb'))" "$1"; }; chmod +x "$1"; }
unpack node
unpack node_modules/webgpu/dist/PLATFORM/dawn.node
# The loader of the machine is preferred; the carried one is for where there is none.
ldconfig -p 2>/dev/null | grep -q libvulkan.so.1 || export LD_LIBRARY_PATH="$PWD/lib\${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export XDG_RUNTIME_DIR="\${XDG_RUNTIME_DIR:-/tmp}"
if [ -z "\${VK_DRIVER_FILES:-}\${VK_ICD_FILENAMES:-}" ] && [ -z "$(ls /etc/vulkan/icd.d/*.json /usr/share/vulkan/icd.d/*.json 2>/dev/null)" ]; then
  # NVIDIA's containers often have the driver without the file that names it.
  printf '{"file_format_version":"1.0.0","ICD":{"library_path":"libGLX_nvidia.so.0","api_version":"1.3.0"}}' > nvidia.json
  export VK_DRIVER_FILES="$PWD/nvidia.json"
fi
exec ./node main.mjs "$@"
`;

/** Compressed beside where it will be. */
function pack(source, target) {
  mkdirSync(dirname(target), { recursive: true });
  copyFileSync(source, target);
  execFileSync('xz', ['-1', '-T2', '-f', target]);
}

/** The folder of the npm package of WebGPU for Node. */
const dawnFolder = () => dirname(createRequire(join(root, 'packages', 'backend-webgpu', 'package.json')).resolve('webgpu'));

/** The script and what it reads beside it in `directory`, which is replaced: everything but Node and Dawn. */
async function layOut(directory) {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(join(directory, 'node_modules'), { recursive: true });
  await bundleScript(join(directory, 'main.mjs'));
  writeFileSync(join(directory, 'package.json'), JSON.stringify({ name: 'xmoe-gpu', version: '0.0.0', private: true, type: 'module' }));
  for (const name of readdirSync(join(root, 'bench', 'peers')).filter((file) => file.endsWith('.py'))) copyFileSync(join(root, 'bench', 'peers', name), join(directory, name));
}

/** Makes what runs here in `directory`, which is replaced, with the Dawn that is installed; returns the path of its script. */
export async function layOutHere(directory) {
  await layOut(directory);
  symlinkSync(dawnFolder(), join(directory, 'node_modules', 'webgpu'), 'junction');
  return join(directory, 'main.mjs');
}

/** Makes the bundle in `directory`, which is replaced; returns its size in bytes. */
export async function makeBundle(directory) {
  const platform = `${process.platform}-${process.arch}`;
  await layOut(directory);
  const dawn = dawnFolder();
  const target = join(directory, 'node_modules', 'webgpu');
  pack(join(dawn, 'dist', platform, 'dawn.node'), join(target, 'dist', platform, 'dawn.node'));
  for (const name of ['index.js', 'package.json', 'LICENSE.md']) copyFileSync(join(dawn, name), join(target, name));
  pack(process.execPath, join(directory, 'node'));
  const loader = ['/usr/lib/x86_64-linux-gnu/libvulkan.so.1', '/usr/lib/aarch64-linux-gnu/libvulkan.so.1', '/usr/lib64/libvulkan.so.1'].find(existsSync);
  if (loader) {
    mkdirSync(join(directory, 'lib'));
    copyFileSync(realpathSync(loader), join(directory, 'lib', 'libvulkan.so.1'));
  }
  writeFileSync(join(directory, 'run.sh'), RUN.replaceAll('PLATFORM', platform), { mode: 0o755 });
  const bytes = sizeOf(directory);
  if (bytes > MOST_BYTES) throw new Error(`the bundle has ${bytes} bytes, more than ${MOST_BYTES}`);
  return bytes;
}

function sizeOf(path) {
  if (!statSync(path).isDirectory()) return statSync(path).size;
  return readdirSync(path).reduce((sum, name) => sum + sizeOf(join(path, name)), 0);
}
