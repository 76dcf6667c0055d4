// Compiles assembly/ into wasm/simd.wasm, wasm/relaxed.wasm and wasm/revectorized.wasm: one source, two sets of features, two tiles.
// Does nothing when they are newer than what they come from (by hash, so a checkout or a copy does not confuse it). `--force`
// compiles all the same.
import { createHash } from 'node:crypto';
import { mkdir, readFile, readdir, rename, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';

const packageRoot = new URL('../', import.meta.url);
const output = new URL('wasm/', packageRoot);
const stamp = new URL('sources.sha256', output);

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

async function hashOfSources() {
  const folder = new URL('assembly/', packageRoot);
  const hash = createHash('sha256').update(asc.version).update(await readFile(fileURLToPath(import.meta.url)));
  for (const file of (await readdir(folder)).sort()) {
    if (file.endsWith('.ts')) hash.update(file).update(await readFile(new URL(file, folder)));
  }
  return hash.digest('hex');
}

async function isCurrent(hash) {
  try {
    const [stored] = await Promise.all([readFile(stamp, 'utf8'), ...Object.keys(VARIANTS).map((name) => readFile(new URL(`${name}.wasm`, output)))]);
    return stored === hash;
  } catch {
    return false;
  }
}

async function compile(variant, { features, instead }) {
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

/** Compiles what is out of date. Returns whether anything was. */
export async function buildWasm({ force = false } = {}) {
  const hash = await hashOfSources();
  if (!force && (await isCurrent(hash))) return false;
  await mkdir(output, { recursive: true });
  for (const [variant, options] of Object.entries(VARIANTS)) await compile(variant, options);
  await writeFile(stamp, hash);
  return true;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const since = performance.now();
  const built = await buildWasm({ force: process.argv.includes('--force') });
  process.stdout.write(built ? `wasm: compiled in ${Math.round(performance.now() - since)} ms\n` : 'wasm: up to date\n');
}
