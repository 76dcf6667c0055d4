// The threads: a kernel's work items are cut into pieces that the calling thread and the workers take from one counter. Which
// thread runs a piece does not matter, because a kernel's result does not depend on where the pieces begin. The counter and its
// protocol are in job.ts.
import { XMoEError } from '@xmoe/core';
import { createJobBoard, MAXIMUM_PIECES } from './job.js';
import { mayBlock, startWorker, type PlatformWorker } from './platform.js';
import type { ProductsLink } from './products.js';
import { WORKER_SOURCE } from './worker-source.js';
import type { WasmFunction, WasmMemory, WasmModule } from './webassembly.js';

export interface Team {
  readonly threads: number;
  /** As `parallel` of runtime.ts. Error `backend` when a kernel fails or a worker died. */
  run(kernel: string, total: number, grain: number, args: readonly number[]): void;
  /** Ends the workers; what runs later runs on the calling thread. */
  stop(): void;
}

export interface TeamOptions {
  readonly module: WasmModule;
  readonly memory: WasmMemory;
  /** The calling thread's functions. */
  readonly functions: Record<string, WasmFunction>;
  readonly threads: number;
  /** The scratch region of worker i. */
  scratchOf(worker: number): number;
  /** The library that multiplies, and the address of the memory for it. Default: none, the compiled kernels do. */
  readonly products?: { readonly link: ProductsLink; readonly base: number } | null;
  /** For tests: how a worker is started, and for how long it may hold a piece. */
  readonly start?: (code: string, data: object) => Promise<PlatformWorker>;
  readonly stallMilliseconds?: number;
}

/** More pieces even out a thread that other programs slow down; fewer cost less. */
const PIECES_PER_THREAD = 3;
/** Or one more, where that leaves the busiest thread less to do: of 16 experts two threads take 8 and 8 so, not 9 and 7. */
const MORE_PIECES_PER_THREAD = 4;
/** A piece takes milliseconds. A worker that holds one for this long is dead or stopped. */
const STALL_MILLISECONDS = 60_000;

/** Starts `threads − 1` workers and waits until they are ready. */
export async function createTeam({
  module, memory, functions, threads, scratchOf, products = null, start = startWorker, stallMilliseconds = STALL_MILLISECONDS,
}: TeamOptions): Promise<Team> {
  const names = Object.keys(functions);
  const board = createJobBoard(memory, names, mayBlock());
  let broken: XMoEError | undefined;
  let workers = await startAll(threads - 1, (index) => start(WORKER_SOURCE, { module, memory, scratch: scratchOf(index), index: index + 1, names, products }));
  for (const worker of workers) {
    worker.onDeath((reason) => {
      broken ??= workerError(`a worker died: ${reason}`);
    });
  }

  function runAlone(kernel: string, total: number, args: readonly number[]): void {
    try {
      functions[kernel](0, total, ...args);
    } catch (error) {
      throw kernelError(kernel, String(error), error);
    }
  }

  function run(kernel: string, total: number, grain: number, args: readonly number[]): void {
    if (broken) throw broken;
    if (total <= 0) return;
    const most = workers.length === 0 ? 1 : Math.min(Math.ceil(total / Math.max(1, grain)), MAXIMUM_PIECES);
    if (most <= 1) return runAlone(kernel, total, args);
    const chunk = chunkOf(total, most, threads);
    const job = { kernel, total, chunk, pieces: Math.ceil(total / chunk), args };
    board.publish(job, Math.min(job.pieces, threads) - 1);
    const failure = board.takePieces(job, functions[kernel]);
    if (!board.awaitOthers(job, stallMilliseconds)) {
      broken = workerError('a worker holds its piece of a kernel and does not answer');
      throw broken;
    }
    if (failure !== undefined) throw kernelError(kernel, String(failure), failure);
    const elsewhere = board.failure();
    if (elsewhere !== undefined) throw kernelError(kernel, `in a worker, ${elsewhere}`);
  }

  function stop(): void {
    for (const worker of workers) worker.stop();
    workers = [];
  }

  return { threads, run, stop };
}

/** Items per piece, of at most `most` pieces. */
export function chunkOf(total: number, most: number, threads: number): number {
  const itemsOf = (perThread: number): number => Math.ceil(total / Math.min(perThread * threads, most));
  const [usual, more] = [itemsOf(PIECES_PER_THREAD), itemsOf(MORE_PIECES_PER_THREAD)];
  const busiest = (chunk: number): number => Math.ceil(Math.ceil(total / chunk) / threads) * chunk;
  return busiest(more) < busiest(usual) ? more : usual;
}

async function startAll(count: number, start: (index: number) => Promise<PlatformWorker>): Promise<PlatformWorker[]> {
  const workers = await Promise.all(Array.from({ length: count }, (_, index) => start(index)));
  try {
    await Promise.all(workers.map(({ ready }) => ready));
    return workers;
  } catch (cause) {
    for (const worker of workers) worker.stop();
    throw workerError('a worker did not start', cause);
  }
}

function kernelError(kernel: string, problem: string, cause?: unknown): XMoEError {
  return new XMoEError('backend', `the compiled kernel ${kernel} failed: ${problem}`, {
    op: 'cpu:wasm',
    hint: 'this is a defect of xmoe: please report the operation and its shapes; createCpuBackend computes the same without it',
    cause,
  });
}

function workerError(message: string, cause?: unknown): XMoEError {
  return new XMoEError('backend', message, {
    op: 'cpu:wasm',
    hint: 'make a new backend; XMOE_THREADS=1 runs without workers',
    cause,
  });
}
