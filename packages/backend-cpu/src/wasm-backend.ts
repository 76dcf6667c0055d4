// createWasmBackend: the fast CPU backend. It is the plain backend on another memory, with compiled kernels in place of the
// hot ones; what is not compiled runs as in createCpuBackend.
import { XMoEError, type Backend, type KernelName, type Kernels } from '@xmoe/core';
import { withHalf } from './half.js';
import { createHostBackend } from './host-backend.js';
import { createKernels } from './kernels/index.js';
import { createWasmKernels } from './engine/kernels/index.js';
import { PAGE_BYTES, THREAD_SCRATCH_BYTES } from './engine/layout.js';
import { availableThreads, environment } from './engine/platform.js';
import { createRuntime, type RuntimeControl } from './engine/runtime.js';
import { createSharedPool } from './engine/shared-pool.js';
import { createTeam } from './engine/team.js';
import { passesSelfCheck } from './engine/self-check.js';
import { loadVariant, type LoadedVariant } from './engine/variants.js';
import { webAssembly, type WasmMemory } from './engine/webassembly.js';
import type { WasmVariant } from './wasm-files.js';

export interface WasmBackendOptions {
  /** Threads, the calling one included, 1 to 64. Default: `XMOE_THREADS`, else what the machine runs at once, at most 8. */
  threads?: number;
  /** Which instructions to use. Default `auto`: the fastest that runs here. */
  variant?: 'auto' | WasmVariant;
}

const MAXIMUM_THREADS = 64;
const DEFAULT_MAXIMUM_THREADS = 8;

/**
 * The compiled backend: float32 arithmetic in WebAssembly SIMD on several threads, bit-equal for any number of them. Runs in Node
 * and in browsers (there with several threads only on a cross-origin isolated page).
 * Error `backend` where WebAssembly SIMD is missing (use createCpuBackend), `config` for a bad number of threads.
 */
export async function createWasmBackend({ threads, variant = 'auto' }: WasmBackendOptions = {}): Promise<Backend> {
  const count = threads === undefined ? await defaultThreads() : checkedThreads(threads, 'threads');
  const loaded = await loadVariant(variant);
  const backend = await assemble(loaded, count);
  if (await passesSelfCheck(backend)) return backend;
  backend.dispose();
  // A browser or processor whose relaxed instructions are wrong may still have the plain ones.
  if (variant === 'auto' && loaded.variant === 'relaxed') return createWasmBackend({ threads, variant: 'simd' });
  throw new XMoEError('backend', `the ${loaded.variant} kernels compute wrong numbers on this machine`, {
    op: 'cpu:wasm',
    hint: 'use createCpuBackend, which is plain TypeScript',
  });
}

async function assemble({ variant, module }: LoadedVariant, threads: number): Promise<Backend> {
  const memory = createMemory();
  const { exports: functions } = await webAssembly!.instantiate(module, { env: { memory } });
  const pool = createSharedPool(memory, functions.heapBase());
  const threadScratch = (): number => pool.region(THREAD_SCRATCH_BYTES).offset;
  functions.initializeThread(threadScratch());
  const team = await createTeam({ module, memory, functions, threads, scratchOf: threadScratch });
  return createHostBackend({
    name: 'cpu:wasm',
    description: `CPU, ${threads === 1 ? 'one thread' : `${threads} threads`}, WebAssembly ${variant === 'relaxed' ? 'relaxed SIMD' : 'SIMD'}`,
    kernels: combineKernels(createRuntime(memory, functions, pool, team, variant)),
    pool,
    dispose() {
      team.stop();
      pool.clear();
    },
  });
}

/** Kernels that only move elements take float16 as it is: bits. */
const MOVERS: ReadonlySet<string> = new Set<KernelName>(['transpose', 'slice', 'broadcast', 'concat', 'gatherRows', 'takeAlongLast']);

/** The plain table with the compiled kernels in it. */
function combineKernels({ runtime, beginCall }: RuntimeControl): Kernels {
  const plain = createKernels();
  const compiled = createWasmKernels(runtime, plain);
  const table = { ...plain } as Record<string, (...operands: unknown[]) => void>;
  for (const [name, kernel] of Object.entries(compiled)) {
    const decoded = MOVERS.has(name) ? kernel : withHalf(name as KernelName, kernel as Kernels[KernelName], runtime.scratchFloats);
    const run = decoded as (...operands: unknown[]) => void;
    table[name] = (...operands) => {
      beginCall();
      run(...operands);
    };
  }
  return table as unknown as Kernels;
}

function createMemory(): WasmMemory {
  // Address space, not memory. Some browsers on small devices refuse 4 GiB of it.
  for (let maximum = 65536; maximum >= 4096; maximum /= 2) {
    try {
      return new webAssembly!.Memory({ initial: 1, maximum, shared: true });
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
  if (given !== undefined && given !== '') return checkedThreads(Number(given), 'XMOE_THREADS');
  return Math.min(DEFAULT_MAXIMUM_THREADS, await availableThreads());
}

function checkedThreads(count: number, name: string): number {
  if (Number.isInteger(count) && count >= 1 && count <= MAXIMUM_THREADS) return count;
  throw new XMoEError('config', `${name} is ${count}`, { op: 'cpu:wasm', hint: `give a whole number from 1 to ${MAXIMUM_THREADS}` });
}
