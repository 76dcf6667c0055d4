// createWasmBackend: the fast CPU backend. It is the plain backend on another memory, with compiled kernels in place of the
// hot ones; what is not compiled runs as in createCpuBackend.
import { XMoEError, nearestName, type AnyKernel, type Backend, type Kernels } from '@xmoe/core';
import { MOVERS } from '@xmoe/kernels-host';
import { withHalf } from './half.js';
import { createHostBackend } from './host-backend.js';
import { createKernels } from './plain-kernels.js';
import { createWasmKernels } from './engine/kernels/index.js';
import { joinsRightly } from './engine/joined.js';
import { PAGE_BYTES, THREAD_SCRATCH_BYTES } from './engine/layout.js';
import { availableThreads, environment } from './engine/platform.js';
import { whyNotRevectorized } from './engine/probe.js';
import { noProducts, type Products } from './engine/products.js';
import { couldJoin, revectorizing } from './engine/revectorize.js';
import { createRecorder } from './engine/recorder.js';
import { createRuntime, type RuntimeControl } from './engine/runtime.js';
import { createSharedPool } from './engine/shared-pool.js';
import { createTeam } from './engine/team.js';
import { passesSelfCheck } from './engine/self-check.js';
import { loadVariant, type LoadedVariant } from './engine/variants.js';
import { webAssembly, type WasmMemory } from './engine/webassembly.js';
import { WASM_FILES, type WasmVariant } from './wasm-files.js';

export interface WasmBackendOptions {
  /** Threads, the calling one included, 1 to 64. Default: `XMOE_THREADS`, else what the machine runs at once, at most 8. */
  threads?: number;
  /**
   * Which instructions to use. Default: `XMOE_WASM_VARIANT`, else `auto`, the fastest that runs here. `revectorized` (an experiment of V8: Node from
   * 23.5 on, x64 with AVX2) multiplies matrices half as fast again or better, and is faster at attention, softmax and GELU, to the bits of `relaxed`; `auto` takes it too where a probe in a
   * child process has found it right, which is asked once per Node and processor. Where it is not used, the description says why.
   */
  variant?: 'auto' | WasmVariant;
}

const MAXIMUM_THREADS = 64;
const DEFAULT_MAXIMUM_THREADS = 8;

/**
 * The compiled backend: float32 arithmetic in WebAssembly SIMD on several threads, bit-equal for any number of them. Runs in Node
 * and in browsers (there with several threads only on a cross-origin isolated page).
 * Error `backend` where WebAssembly SIMD is missing (use createCpuBackend), `config` for a bad number of threads or variant.
 */
export async function createWasmBackend(options: WasmBackendOptions = {}): Promise<Backend> {
  return openEngine(options, null);
}

/** The engine, with `products` in place of its own multiplication if there are any. Errors as createWasmBackend. */
export async function openEngine({ threads, variant }: WasmBackendOptions, products: Products | null): Promise<Backend> {
  const count = await threadsOf({ threads });
  const wanted = variant === undefined ? defaultVariant() : checkedVariant(variant, 'variant');
  const team: TeamWanted = { threads: count, products };
  if (wanted === 'relaxed' || wanted === 'simd') return openVariant(wanted, team);
  const refusal = await whyNotRevectorized();
  const backend = refusal === undefined ? await openRevectorized(team) : null;
  if (backend) return backend;
  // Who asked for nothing need not hear what no other Node would change.
  const isWorthSaying = wanted === 'revectorized' || couldJoin();
  return openVariant('auto', team, isWorthSaying ? `not re-vectorised: ${refusal ?? 'the kernels computed wrong numbers'}` : undefined);
}

/** The kernels that whyNotRevectorized has nothing against. Null when they compute wrong numbers. */
export async function openRevectorized(team: TeamWanted): Promise<Backend | null> {
  const backend = await assemble(await loadVariant('revectorized'), team);
  // Their calls are the first ones, and so those that V8 compiles re-vectorised.
  return revectorizing(() => checked(backend, [passesSelfCheck, joinsRightly]));
}

/** How many threads these options, or the environment, ask for. */
export async function threadsOf({ threads }: WasmBackendOptions): Promise<number> {
  return threads === undefined ? defaultThreads() : checkedThreads(threads, 'threads');
}

interface TeamWanted {
  readonly threads: number;
  readonly products: Products | null;
}

/** `remark` goes into the description. */
async function openVariant(wanted: 'auto' | WasmVariant, team: TeamWanted, remark?: string): Promise<Backend> {
  const loaded = await loadVariant(wanted);
  const backend = await openChecked(loaded, team, remark);
  if (backend) return backend;
  // A browser or processor whose relaxed instructions are wrong may still have the plain ones.
  if (wanted === 'auto' && loaded.variant === 'relaxed') return openVariant('simd', team, remark);
  throw new XMoEError('backend', `the ${loaded.variant} kernels compute wrong numbers on this machine`, {
    op: 'cpu:wasm',
    hint: 'use createCpuBackend, which is plain TypeScript',
  });
}

/** Null when the kernels compute wrong numbers. */
async function openChecked(loaded: LoadedVariant, team: TeamWanted, remark?: string): Promise<Backend | null> {
  return checked(await assemble(loaded, team, remark), [passesSelfCheck]);
}

/** Null when a check fails. Computes before it first waits. */
async function checked(backend: Backend, checks: readonly ((backend: Backend) => Promise<boolean>)[]): Promise<Backend | null> {
  const findings = await Promise.all(checks.map((passes) => passes(backend)));
  if (findings.every(Boolean)) return backend;
  backend.dispose();
  return null;
}

const NAMES: Record<WasmVariant, string> = { simd: 'SIMD', relaxed: 'relaxed SIMD', revectorized: 'relaxed SIMD, re-vectorised' };

async function assemble({ variant, module }: LoadedVariant, { threads, products }: TeamWanted, remark?: string): Promise<Backend> {
  const { memory, bytes: memoryBytes } = createMemory();
  const base = products?.addressOf(memory.buffer) ?? 0;
  const { exports: functions } = await webAssembly!.instantiate(module, { env: { memory, sgemm: products?.open(base) ?? noProducts } });
  const pool = createSharedPool(memory, functions.heapBase());
  const threadScratch = (): number => pool.region(THREAD_SCRATCH_BYTES).offset;
  functions.initializeThread(threadScratch(), 0);
  if (products !== null) functions.useLibrary();
  const link = products === null ? null : { link: products.link, base };
  const team = await createTeam({ module, memory, functions, threads, scratchOf: threadScratch, products: link });
  const recorder = createRecorder(pool, memoryBytes / 2);
  const instructions = `WebAssembly ${NAMES[variant]}${remark === undefined ? '' : ` (${remark})`}`;
  return createHostBackend({
    name: products === null ? 'cpu:wasm' : 'cpu:native',
    description: `CPU, ${threads === 1 ? 'one thread' : `${threads} threads`}, ${instructions}${products === null ? '' : `, products by ${products.name}`}`,
    ...(products === null ? {} : { library: products.name }),
    kernels: combineKernels(createRuntime(functions, pool, team, variant, products)),
    pool,
    recorder,
    memoryBytes,
    dispose() {
      team.stop();
      recorder.pool.clear();
    },
  });
}

/** The plain table with the compiled kernels in it. */
function combineKernels({ runtime, beginCall }: RuntimeControl): Kernels {
  const plain = createKernels();
  const compiled = createWasmKernels(runtime, plain);
  const table = { ...plain } as unknown as Record<string, AnyKernel>;
  for (const [name, kernel] of Object.entries(compiled) as [string, AnyKernel][]) {
    const run = MOVERS.has(name) ? kernel : withHalf(kernel, runtime.scratchFloats);
    table[name] = (inputs, outputs, attributes) => {
      beginCall();
      run(inputs, outputs, attributes);
    };
  }
  return table as unknown as Kernels;
}

function createMemory(): { memory: WasmMemory; bytes: number } {
  // Address space, not memory. Some browsers on small devices refuse 4 GiB of it.
  for (let maximum = 65536; maximum >= 4096; maximum /= 2) {
    try {
      return { memory: new webAssembly!.Memory({ initial: 1, maximum, shared: true }), bytes: maximum * PAGE_BYTES };
    } catch {
      continue;
    }
  }
  throw new XMoEError('memory', `not even ${(4096 * PAGE_BYTES) / 2 ** 20} MiB of shared memory can be reserved`, {
    op: 'cpu:wasm',
    hint: 'use createCpuBackend',
  });
}

async function defaultThreads(): Promise<number> {
  const given = environment('XMOE_THREADS');
  if (given !== undefined && given !== '') return checkedThreads(Number(given), 'XMOE_THREADS', given);
  return Math.min(DEFAULT_MAXIMUM_THREADS, await availableThreads());
}

/** `typed`: as the user wrote it. */
function checkedThreads(count: number, name: string, typed = String(count)): number {
  if (Number.isInteger(count) && count >= 1 && count <= MAXIMUM_THREADS) return count;
  throw new XMoEError('config', `${name} is ${typed}`, { op: 'cpu:wasm', hint: `give a whole number from 1 to ${MAXIMUM_THREADS}` });
}

function defaultVariant(): 'auto' | WasmVariant {
  const given = environment('XMOE_WASM_VARIANT');
  return given === undefined || given === '' ? 'auto' : checkedVariant(given, 'XMOE_WASM_VARIANT');
}

function checkedVariant(variant: string, name: string): 'auto' | WasmVariant {
  const known = ['auto', ...Object.keys(WASM_FILES)] as const;
  if (known.includes(variant)) return variant as 'auto' | WasmVariant;
  const near = nearestName(variant, known);
  throw new XMoEError('config', `${name} is ${JSON.stringify(variant)}${near ? `, did you mean ${near}?` : ''}`, { op: 'cpu:wasm', hint: `one of ${known.join(', ')}` });
}
