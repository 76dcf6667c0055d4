// Compiles assembly/ into wasm/simd.wasm, wasm/relaxed.wasm and wasm/revectorized.wasm: one source, two sets of features, two tiles; one
// thread each, as optimizing takes seconds. With the last comes wasm/probe.mjs, the program that tries it in a child process: a file without imports,
// because what starts it may be a source, a package or a bundle. Does nothing to one that is as new as what it comes from (by hash, so a checkout or a copy
// does not confuse it). `--only NAME,NAME` compiles some, `--force` compiles all the same.
import { createHash } from 'node:crypto';
import { mkdir, readFile, readdir, rename, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Worker, workerData } from 'node:worker_threads';

const packageRoot = new URL('../', import.meta.url);
const output = new URL('wasm/', packageRoot);
const stampOf = (name) => new URL(`${name}.sha256`, output);
const fileOf = (name) => new URL(name === 'probe' ? 'probe.mjs' : `${name}.wasm`, output);

/** Bytes below this address belong to the runtime (src/engine/layout.ts), not to the compiler's constants. */
const MEMORY_BASE = 1024;
/** 64 KiB pages: 4 GiB, all that a 32-bit address reaches. */
const MAXIMUM_PAGES = 65536;

/** Features, and which source takes the place of which. */
const VARIANTS = {
  simd: { features: ['simd', 'threads'], instead: {} },
  relaxed: { features: ['simd', 'threads', 'relaxed-simd'], instead: {} },
  revectorized: { features: ['simd', 'threads', 'relaxed-simd'], instead: { 'assembly/gemm-tile.ts': 'assembly/gemm-tile-wide.ts' } },
};

function argumentsOf(variant, features) {
  return [
    'assembly/index.ts',
    '--outFile', `wasm/${variant}.wasm`,
    '-O3', '--noAssert',
    '--runtime', 'stub',
    '--importMemory', '--sharedMemory', '--initialMemory', '1', '--maximumMemory', String(MAXIMUM_PAGES),
    '--memoryBase', String(MEMORY_BASE),
    ...features.flatMap((feature) => ['--enable', feature]),
  ];
}

const compilerVersion = async () => JSON.parse(await readFile(new URL('node_modules/assemblyscript/package.json', packageRoot), 'utf8')).version;

/** `name`: a folder of the package. */
async function hashOf(name) {
  const folder = new URL(name, packageRoot);
  const hash = createHash('sha256').update(await compilerVersion()).update(await readFile(fileURLToPath(import.meta.url)));
  for (const file of (await readdir(folder, { recursive: true })).sort()) {
    if (file.endsWith('.ts')) hash.update(file).update(await readFile(new URL(file, folder)));
  }
  return hash.digest('hex');
}

/** Whether what `name` stands for was made from what has this hash. */
async function isCurrent(name, hash) {
  try {
    const [stored] = await Promise.all([readFile(stampOf(name), 'utf8'), readFile(fileOf(name))]);
    return stored === hash;
  } catch {
    return false;
  }
}

/** A reader in another process sees the old file or the new one, never half of one. */
async function writeWhole(target, contents) {
  const temporary = new URL(`${target.href}.${process.pid}`);
  await writeFile(temporary, contents);
  await rename(temporary, target);
}

async function compile(variant, { features, instead }) {
  // Loaded where it is needed: it is large.
  const { default: asc } = await import('assemblyscript/asc');
  const { error, stderr } = await asc.main(argumentsOf(variant, features), {
    readFile: (name, base) => readFile(new URL(instead[name] ?? name, new URL(`${base}/`, packageRoot)), 'utf8').catch(() => null),
    writeFile: (name, contents) => writeWhole(new URL(name, packageRoot), contents),
  });
  if (error) throw new Error(`${variant}.wasm does not compile\n${stderr.toString()}`);
}

/** Compiles in a thread of its own. */
function compileAside(variant) {
  return new Promise((resolve, reject) => {
    const worker = new Worker(fileURLToPath(import.meta.url), { workerData: { variant } });
    worker.once('error', reject);
    worker.once('exit', (status) => (status === 0 ? resolve() : reject(new Error(`${variant}.wasm: the compiler ended with ${status}`))));
  });
}

/** Bundles the program of the probe, with what it takes from other packages. */
async function bundleProbe() {
  const { build } = await import('esbuild');
  const { outputFiles: [{ contents }] } = await build({
    entryPoints: [fileURLToPath(new URL('src/engine/probe-child.ts', packageRoot))], bundle: true, write: false, format: 'esm', platform: 'neutral', target: 'node20',
    minify: true, conditions: ['@xmoe/source'], logLevel: 'warning',
  });
  await writeWhole(fileOf('probe'), contents);
}

/** Makes what is out of date. Returns whether anything was. */
export async function buildWasm({ force = false, only = Object.keys(VARIANTS) } = {}) {
  const [kernels, program] = await Promise.all(['assembly/', 'src/'].map(hashOf));
  const hashes = Object.fromEntries(only.map((name) => [name, kernels]));
  if (only.includes('revectorized')) hashes.probe = program;
  const names = Object.keys(hashes);
  const current = await Promise.all(names.map((name) => isCurrent(name, hashes[name])));
  const wanted = names.filter((_, at) => force || !current[at]);
  await mkdir(output, { recursive: true });
  await Promise.all(wanted.map(async (name) => {
    await (name === 'probe' ? bundleProbe() : compileAside(name));
    await writeFile(stampOf(name), hashes[name]);
  }));
  return wanted.length > 0;
}

if (workerData?.variant) {
  await compile(workerData.variant, VARIANTS[workerData.variant]);
} else if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const since = performance.now();
  const { values: { only, force } } = parseArgs({ options: { only: { type: 'string' }, force: { type: 'boolean', default: false } } });
  const built = await buildWasm({ force, only: only?.split(',') });
  process.stdout.write(built ? `wasm: compiled in ${Math.round(performance.now() - since)} ms\n` : 'wasm: up to date\n');
}
