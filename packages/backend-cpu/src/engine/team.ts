// The threads: a job is cut into pieces that the calling thread and the workers take from one counter in shared memory.
// Which thread runs a piece does not matter, because a kernel's result does not depend on where the pieces begin.
//
// The counter (TICKET) holds the number of the job above 6 bits of "pieces left". A worker reads it, reads what the job is, and
// takes a piece by compare-and-exchange: that succeeds only if the job is still the one it read. The caller writes a job only
// when no piece is left and none is running, so nobody reads half of one. A worker that starts late, sleeps or is starved by
// other programs only means that the caller takes more of the pieces itself.
import { XMoEError } from '@xmoe/core';
import * as layout from './layout.js';
import { mayBlock, startWorker, type PlatformWorker } from './platform.js';
import { WORKER_SOURCE } from './worker-source.js';
import type { WasmFunction, WasmMemory, WasmModule } from './webassembly.js';

export interface Team {
  readonly threads: number;
  run(kernel: string, total: number, grain: number, args: readonly number[]): void;
  stop(): void;
}

export interface TeamOptions {
  readonly module: WasmModule;
  readonly memory: WasmMemory;
  /** The calling thread's functions by name, in one order for all threads. */
  readonly functions: Record<string, WasmFunction>;
  readonly threads: number;
  /** The scratch region of worker i. */
  scratchOf(worker: number): number;
  /** For tests: how a worker is started, and for how long it may hold a piece. */
  readonly start?: (code: string, data: object) => Promise<PlatformWorker>;
  readonly stallMilliseconds?: number;
}

/** Pieces per thread: more even out a thread that is slowed by other programs, fewer cost less. At most 63 in all. */
const PIECES_PER_THREAD = 3;
const PIECE_BITS = 6;
const PIECE_MASK = 2 ** PIECE_BITS - 1;
/** How often the caller looks before it sleeps. */
const SPINS = 20_000;
/** A piece takes milliseconds. A worker that holds one for this long is dead or stopped. */
const STALL_MILLISECONDS = 60_000;

/** Starts `threads − 1` workers and waits until they are ready. */
export async function createTeam({
  module, memory, functions, threads, scratchOf, start = startWorker, stallMilliseconds = STALL_MILLISECONDS,
}: TeamOptions): Promise<Team> {
  const names = Object.keys(functions);
  const numbers = new Map(names.map((name, index) => [name, index]));
  const words = new Int32Array(memory.buffer, 0, layout.MEMORY_BASE / 4);
  const values = new Float64Array(memory.buffer, layout.ARGUMENTS_BYTE, layout.MAXIMUM_ARGUMENTS);
  const blocking = mayBlock();
  let job = 0;
  let broken: XMoEError | undefined;
  let workers: PlatformWorker[] = [];

  function publish(kernel: string, total: number, chunk: number, pieces: number, args: readonly number[]): void {
    words[layout.KERNEL] = numbers.get(kernel) as number;
    words[layout.TOTAL] = total;
    words[layout.CHUNK] = chunk;
    words[layout.ARGUMENT_COUNT] = args.length;
    for (let i = 0; i < args.length; i++) values[i] = args[i];
    words[layout.FAILURE] = 0;
    Atomics.store(words, layout.DONE, 0);
    job++;
    Atomics.store(words, layout.TICKET, (job << PIECE_BITS) | pieces);
    Atomics.notify(words, layout.TICKET, Math.min(pieces, threads) - 1);
  }

  /** Runs pieces until none is left; returns what a kernel threw here. */
  function takePieces(kernel: WasmFunction, total: number, chunk: number, args: readonly number[]): unknown {
    let failure: unknown;
    for (;;) {
      const ticket = Atomics.load(words, layout.TICKET);
      const left = ticket & PIECE_MASK;
      if (left === 0) return failure;
      if (Atomics.compareExchange(words, layout.TICKET, ticket, ticket - 1) !== ticket) continue;
      try {
        const begin = (left - 1) * chunk;
        kernel(begin, Math.min(total, begin + chunk), ...args);
      } catch (error) {
        failure = error;
      }
      Atomics.add(words, layout.DONE, 1);
    }
  }

  function awaitOthers(pieces: number): void {
    let done = Atomics.load(words, layout.DONE);
    for (let spins = 0; done < pieces && spins < SPINS; spins++) done = Atomics.load(words, layout.DONE);
    const since = Date.now();
    while (done < pieces) {
      if (blocking) Atomics.wait(words, layout.DONE, done, stallMilliseconds);
      done = Atomics.load(words, layout.DONE);
      if (done < pieces && Date.now() - since >= stallMilliseconds) {
        broken = workerError('a worker holds its piece of a kernel and does not answer');
        throw broken;
      }
    }
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
    const wanted = Math.min(Math.ceil(total / Math.max(1, grain)), workers.length === 0 ? 1 : PIECES_PER_THREAD * threads, PIECE_MASK);
    if (wanted <= 1) return runAlone(kernel, total, args);
    const chunk = Math.ceil(total / wanted);
    const pieces = Math.ceil(total / chunk);
    publish(kernel, total, chunk, pieces, args);
    const failure = takePieces(functions[kernel], total, chunk, args);
    awaitOthers(pieces);
    if (failure !== undefined) throw kernelError(kernel, String(failure), failure);
    if (words[layout.FAILURE] !== 0) throw kernelError(kernel, `in a worker, ${failureText(memory, words[layout.FAILURE])}`);
  }

  function stop(): void {
    for (const worker of workers) worker.stop();
    workers = [];
  }

  workers = await Promise.all(
    Array.from({ length: threads - 1 }, (_, index) => start(WORKER_SOURCE, { module, memory, scratch: scratchOf(index), names })),
  );
  try {
    await Promise.all(workers.map(({ ready }) => ready));
  } catch (cause) {
    stop();
    throw workerError('a worker did not start', cause);
  }
  for (const worker of workers) {
    worker.onDeath((reason) => {
      broken ??= workerError(`a worker died: ${reason}`);
    });
  }
  return { threads, run, stop };
}

function failureText(memory: WasmMemory, length: number): string {
  // A copy: text decoders refuse shared memory, and so does String.fromCharCode of none of it.
  return String.fromCharCode(...new Uint16Array(memory.buffer, layout.FAILURE_TEXT_BYTE, length));
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
