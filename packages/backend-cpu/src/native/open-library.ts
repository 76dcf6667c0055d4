// From a file to a library that multiplies right in this process, or the reason why not. In this order: what the file is, whether loading it
// ends a process (asked of another process, for names that are not known), which library it is, whether its numbers are right.
import { spawnSync } from 'node:child_process';
import { basename } from 'node:path';
import { runInThisContext } from 'node:vm';
import { OPEN_PRODUCTS, type Multiply, type Products, type ProductsLink } from '../engine/products.js';
import type { NativeCaller, NativeLibrary } from './caller.js';
import { ACCELERATE, isKnownName, type Place } from './candidates.js';
import { CHECK_BYTES, whyNotRight } from './check.js';
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
  try {
    const library = loadQuietly(file, caller);
    const identity = isAccelerate ? identifyAccelerate(library, place.release) : identify(library);
    return 'refused' in identity ? identity : checked(file, identity, caller, threads);
  } catch (error) {
    return { refused: `it does not load: ${error instanceof Error ? error.message : String(error)}` };
  }
}

function checked(file: string, { name, multiply, perThread, manyCallers }: Identity, caller: NativeCaller, threads: number): Products | Refusal {
  if (threads > 1 && !manyCallers) return { refused: `${name} is built without threads and may not be called by several` };
  const link: ProductsLink = { caller: caller.file, library: file, multiply, perThread };
  const products: Products = {
    name, link,
    addressOf: (memory) => Number(caller.address(new Uint8Array(memory))),
    open: (base) => open((): NativeCaller => caller, link, base),
  };
  const memory = new SharedArrayBuffer(CHECK_BYTES);
  const problem = whyNotRight(products.open(products.addressOf(memory)), memory);
  return problem === undefined ? products : { refused: `${name}: ${problem}` };
}

/** The same text as in the workers. */
const open = runInThisContext(OPEN_PRODUCTS) as (require: (file: string) => NativeCaller, link: ProductsLink, base: number) => Multiply;

/** What keeps libraries from starting threads of their own when they are loaded: ours are the threads. */
const ONE_THREAD = ['OPENBLAS_NUM_THREADS', 'BLIS_NUM_THREADS', 'VECLIB_MAXIMUM_THREADS'];

function loadQuietly(file: string, caller: NativeCaller): NativeLibrary {
  const before = ONE_THREAD.map((name) => process.env[name]);
  for (const name of ONE_THREAD) process.env[name] = '1';
  try {
    return caller.load(file);
  } finally {
    ONE_THREAD.forEach((name, index) => {
      if (before[index] === undefined) delete process.env[name];
      else process.env[name] = before[index];
    });
  }
}

const PROBE_MILLISECONDS = 20_000;

/** A library of an unknown name is loaded by another process first: one that crashes takes only that with it. */
function whyNotSafe(file: string, caller: NativeCaller): string | undefined {
  if (isKnownName(basename(file))) return undefined;
  const { status, signal, stderr } = spawnSync(
    process.execPath, ['-e', `require(${JSON.stringify(caller.file)}).load(${JSON.stringify(file)})`],
    { timeout: PROBE_MILLISECONDS, encoding: 'utf8', env: { ...process.env, NODE_OPTIONS: '' } },
  );
  if (status === 0) return undefined;
  const said = /^\w*Error: .*/m.exec(stderr)?.[0];
  return said === undefined ? `a process that loads it ends with ${signal ?? `status ${status}`}` : `it does not load: ${said.replace(/^Error: /, '')}`;
}
