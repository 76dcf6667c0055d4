// Compiles assembly/ into wasm/simd.wasm, wasm/relaxed.wasm and wasm/revectorized.wasm: one source, two sets of features, two tiles; one
// thread each, as optimizing takes seconds. Does nothing to one that is as new as what it comes from (by hash, so a checkout or a copy
// does not confuse it). `--only NAME,NAME` compiles some, `--force` compiles all the same.
import { createHash } from 'node:crypto';
import { mkdir, readFile, readdir, rename, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Worker, workerData } from 'node:worker_threads';

const packageRoot = new URL('../', import.meta.url);
const output = new URL('wasm/', packageRoot);
const stampOf = (variant) => new URL(`${variant}.sha256`, output);

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

async function hashOfSources() {
  const folder = new URL('assembly/', packageRoot);
  const hash = createHash('sha256').update(await compilerVersion()).update(await readFile(fileURLToPath(import.meta.url)));
  for (const file of (await readdir(folder)).sort()) {
    if (file.endsWith('.ts')) hash.update(file).update(await readFile(new URL(file, folder)));
  }
  return hash.digest('hex');
}

async function isCurrent(variant, hash) {
  try {
    const [stored] = await Promise.all([readFile(stampOf(variant), 'utf8'), readFile(new URL(`${variant}.wasm`, output))]);
    return stored === hash;
  } catch {
    return false;
  }
}

async function compile(variant, { features, instead }) {
  // Loaded where it is needed: it is large.
  const { default: asc } = await import('assemblyscript/asc');
  const { error, stderr } = await asc.main(argumentsOf(variant, features), {
    readFile: (name, base) => readFile(new URL(instead[name] ?? name, new URL(`${base}/`, packageRoot)), 'utf8').catch(() => null),
    // A reader in another process sees the old file or the new one, never half of one.
    async writeFile(name, contents) {
      const target = new URL(name, packageRoot);
      const temporary = new URL(`${name}.${process.pid}`, packageRoot);
      await writeFile(temporary, contents);
      await rename(temporary, target);
    },
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

/** Compiles what is out of date. Returns whether anything was. */
export async function buildWasm({ force = false, only = Object.keys(VARIANTS) } = {}) {
  const hash = await hashOfSources();
  const current = await Promise.all(only.map((variant) => isCurrent(variant, hash)));
  const wanted = only.filter((_, at) => force || !current[at]);
  await mkdir(output, { recursive: true });
  await Promise.all(wanted.map(async (variant) => {
    await compileAside(variant);
    await writeFile(stampOf(variant), hash);
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
