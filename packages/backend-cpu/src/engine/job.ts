// The caller's side of a job in shared memory: publish it, take pieces of it, wait for the pieces that workers took.
//
// The counter (TICKET) holds the number of the job above 6 bits of "pieces left". A worker reads it, reads what the job is, and
// takes a piece by compare-and-exchange: that succeeds only if the job is still the one it read. The caller writes a job only
// when no piece is left and none is running, so nobody acts on half of one. A worker that starts late, sleeps or is starved by
// other programs only means that the caller takes more of the pieces itself.
import * as layout from './layout.js';
import type { WasmFunction, WasmMemory } from './webassembly.js';

export interface Job {
  readonly kernel: string;
  readonly total: number;
  /** Items per piece; the last piece may have fewer. */
  readonly chunk: number;
  readonly pieces: number;
  readonly args: readonly number[];
}

export interface JobBoard {
  /** Offers the job to at most `helpers` sleeping workers and to all that are awake. */
  publish(job: Job, helpers: number): void;
  /** Runs pieces here until none is left; returns what a kernel threw here. */
  takePieces(job: Job, kernel: WasmFunction): unknown;
  /** Waits for pieces that others took. Whether they came within the time. */
  awaitOthers(job: Job, milliseconds: number): boolean;
  /** What a kernel threw in a worker. */
  failure(): string | undefined;
}

const PIECE_BITS = 6;
export const MAXIMUM_PIECES = 2 ** PIECE_BITS - 1;
/** How often the caller looks before it sleeps. */
const SPINS = 20_000;

/** `names` numbers the kernels, in one order for all threads. `mayBlock`: whether this thread may sleep. */
export function createJobBoard(memory: WasmMemory, names: readonly string[], mayBlock: boolean): JobBoard {
  const numbers = new Map(names.map((name, index) => [name, index]));
  const words = new Int32Array(memory.buffer, 0, layout.MEMORY_BASE / 4);
  const values = new Float64Array(memory.buffer, layout.ARGUMENTS_BYTE, layout.MAXIMUM_ARGUMENTS);
  let number = 0;
  return {
    publish({ kernel, total, chunk, pieces, args }, helpers) {
      words[layout.KERNEL] = numbers.get(kernel) as number;
      words[layout.TOTAL] = total;
      words[layout.CHUNK] = chunk;
      words[layout.ARGUMENT_COUNT] = args.length;
      for (let i = 0; i < args.length; i++) values[i] = args[i];
      words[layout.FAILURE] = 0;
      Atomics.store(words, layout.DONE, 0);
      number++;
      Atomics.store(words, layout.TICKET, (number << PIECE_BITS) | pieces);
      Atomics.notify(words, layout.TICKET, helpers);
    },
    takePieces({ total, chunk, args }, kernel) {
      let failure: unknown;
      for (;;) {
        const ticket = Atomics.load(words, layout.TICKET);
        const left = ticket & MAXIMUM_PIECES;
        if (left === 0) return failure;
        if (Atomics.compareExchange(words, layout.TICKET, ticket, ticket - 1) !== ticket) continue;
        const begin = (left - 1) * chunk;
        try {
          kernel(begin, Math.min(total, begin + chunk), ...args);
        } catch (error) {
          failure = error;
        }
        Atomics.add(words, layout.DONE, 1);
      }
    },
    awaitOthers({ pieces }, milliseconds) {
      let done = Atomics.load(words, layout.DONE);
      for (let spins = 0; done < pieces && spins < SPINS; spins++) done = Atomics.load(words, layout.DONE);
      for (const since = Date.now(); done < pieces; done = Atomics.load(words, layout.DONE)) {
        if (Date.now() - since >= milliseconds) return false;
        if (mayBlock) Atomics.wait(words, layout.DONE, done, milliseconds);
      }
      return true;
    },
    failure() {
      const length = Atomics.load(words, layout.FAILURE);
      return length === 0 ? undefined : String.fromCharCode(...new Uint16Array(memory.buffer, layout.FAILURE_TEXT_BYTE, length));
    },
  };
}
