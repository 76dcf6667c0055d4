// From a file to a library that multiplies right in this process, or the reason why not. In this order: what the file is, whether loading it
// or calling it ends a process (asked of another process, for names that are not known and for MKL), which library it is, whether its numbers are right.
import { spawnSync } from 'node:child_process';
import { basename } from 'node:path';
import { runInThisContext } from 'node:vm';
import { OPEN_PRODUCTS, type Multiply, type Products, type ProductsLink } from '../engine/products.js';
import type { NativeCaller, NativeLibrary } from './caller.js';
import { ACCELERATE, mayEndProcess, type Place } from './candidates.js';
import { CHECK_BYTES, whyNotRight } from './check.js';
import { CUTS_BYTES, cutsDoNotShow } from './cuts.js';
import { identify, identifyAccelerate, type Identity, type Refusal } from './identify.js';
import { whyNotLoadable } from './library-file.js';

export interface OpenOptions {
  readonly caller: NativeCaller;
  readonly place: Place;
  /** How many threads will call it. */
  readonly threads: number;
}

/** The library in `file`, if it may be used by so many threads. */
export function openLibrary(file: string, { caller, place, threads }: OpenOptions): Products | Refusal {
  const isAccelerate = place.platform === 'darwin' && file.endsWith(ACCELERATE);
  const unloadable = isAccelerate ? undefined : (whyNotLoadable(file, place.platform, place.arch) ?? whyNotSafe(file, caller));
  if (unloadable !== undefined) return { refused: unloadable };
  return withoutThreads(() => {
    try {
      const library = caller.load(file);
      kept.add(library);
      const identity = isAccelerate ? identifyAccelerate(library, place.release) : identify(library);
      return 'refused' in identity ? identity : checked(file, identity, caller, threads);
    } catch (error) {
      return { refused: `it does not load: ${error instanceof Error ? error.message : String(error)}` };
    }
  });
}

function checked(file: string, { name, multiply, perThread, manyCallers, mayCutFreely }: Identity, caller: NativeCaller, threads: number): Products | Refusal {
  if (threads > 1 && !manyCallers) return { refused: `${name} is built without threads and may not be called by several` };
  const link: ProductsLink = { caller: caller.file, library: file, multiply, perThread };
  const addressOf = (memory: SharedArrayBuffer): number => Number(caller.address(new Uint8Array(memory)));
  const openAt = (base: number): Multiply => open((): NativeCaller => caller, link, base);
  const memory = new SharedArrayBuffer(Math.max(CHECK_BYTES, CUTS_BYTES));
  const own = openAt(addressOf(memory));
  const problem = whyNotRight(own, memory);
  if (problem !== undefined) return { refused: `${name}: ${problem}` };
  return { name, link, addressOf, open: openAt, cutsFreely: () => mayCutFreely && cutsDoNotShow(own, memory) };
}

/** Loaded libraries stay: one that is collected is unloaded, under the feet of our threads and its own, and would read its settings again. */
const kept = new Set<NativeLibrary>();

/** The same text as in the workers. */
const open = runInThisContext(OPEN_PRODUCTS) as (require: (file: string) => NativeCaller, link: ProductsLink, base: number) => Multiply;

/** What keeps libraries from starting threads of their own (ours are the threads), and MKL from integers of 64 bits. Read when they are loaded or first called. */
const SETTINGS: Record<string, string> = {
  OPENBLAS_NUM_THREADS: '1', BLIS_NUM_THREADS: '1', VECLIB_MAXIMUM_THREADS: '1', MKL_THREADING_LAYER: 'SEQUENTIAL', MKL_INTERFACE_LAYER: 'LP64',
};

function withoutThreads<Result>(run: () => Result): Result {
  const before = Object.keys(SETTINGS).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, SETTINGS);
  try {
    return run();
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  }
}

const PROBE_MILLISECONDS = 20_000;

/** Multiplies 1 by 1, if the library says that it can; for a process of its own. */
const PROBE = `(require, caller, file) => {
  const library = require(caller).load(file);
  let multiply;
  try {
    multiply = library.func('void cblas_sgemm(int, int, int, int, int, int, float, const float *, int, const float *, int, float, float *, int)');
  } catch {
    return;
  }
  multiply(101, 111, 111, 1, 1, 1, 1, new Float32Array(1), 1, new Float32Array(1), 1, 0, new Float32Array(1), 1);
}`;

/** A library of an unknown name, and MKL, are called by another process first: what ends that one ends no other. */
function whyNotSafe(file: string, caller: NativeCaller): string | undefined {
  if (!mayEndProcess(basename(file))) return undefined;
  const { status, signal, stderr } = spawnSync(
    process.execPath, ['-e', `(${PROBE})(require, ${JSON.stringify(caller.file)}, ${JSON.stringify(file)})`],
    { timeout: PROBE_MILLISECONDS, encoding: 'utf8', env: { ...process.env, ...SETTINGS, NODE_OPTIONS: '' } },
  );
  if (status === 0) return undefined;
  const said = /^\w*Error: .*/m.exec(stderr)?.[0];
  return said === undefined ? `a process that calls it ends with ${signal ?? `status ${status}`}` : `it does not load: ${said.replace(/^Error: /, '')}`;
}
