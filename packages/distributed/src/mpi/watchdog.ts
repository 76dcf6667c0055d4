// Ends a run that no longer moves: a thread beside the event loop, which may itself be what hangs. It reads what this rank last did, names
// rank, operation and place, and aborts the run. Decides nothing else.
import { Worker } from 'node:worker_threads';

/** Exit code of a run that was ended for not moving. */
export const STUCK_EXIT_CODE = 70;

const STATES = { computes: 0, waits: 1, unhurried: 2, starts: 3 } as const;
export type WatchState = keyof typeof STATES;

/** Seconds that MPI has for its start, at most: there all ranks have only to be there. MPICH does not tell of one that ended before it had begun with MPI. */
const START_SECONDS = 300;

/** Words of the heartbeat. */
const [STATE, SINCE, OPERATION, COUNT, PLACE_LENGTH] = [0, 1, 2, 3, 4];
const WORDS = 5;
const PLACE_BYTES = 120;

export interface WatchdogOptions {
  readonly rank: number;
  readonly timeoutSeconds: number;
  /** For messages. */
  readonly operations: readonly string[];
  /** How the thread aborts the run; it kills the process where that does not end it. */
  readonly abort: { readonly caller: string; readonly library: string; readonly declaration: string; readonly world: bigint | number };
}

export interface Watchdog {
  /** Says what this rank does from now on, and counts a collective. */
  enter(state: WatchState, operation?: number): void;
  /** What is being done, for the message. */
  note(place: string): void;
  stop(): void;
}

export function createWatchdog(options: WatchdogOptions): Watchdog {
  const memory = new SharedArrayBuffer(WORDS * 4 + PLACE_BYTES);
  const words = new Int32Array(memory, 0, WORDS);
  const place = new Uint8Array(memory, WORDS * 4);
  const began = Date.now();
  const worker = new Worker(WATCH, {
    eval: true, stdin: false, env: { NODE_OPTIONS: '' }, execArgv: [],
    workerData: { ...options, memory, began, exitCode: STUCK_EXIT_CODE, words: WORDS },
  });
  worker.unref();
  return {
    enter(state, operation) {
      Atomics.store(words, SINCE, Math.floor((Date.now() - began) / 1000));
      if (operation !== undefined) {
        Atomics.store(words, OPERATION, operation);
        Atomics.add(words, COUNT, 1);
      }
      Atomics.store(words, STATE, STATES[state]);
    },
    note(text) {
      const { written } = new TextEncoder().encodeInto(text, new Uint8Array(PLACE_BYTES));
      place.set(new TextEncoder().encode(text).subarray(0, written));
      Atomics.store(words, PLACE_LENGTH, written);
    },
    stop: () => void worker.terminate(),
  };
}

/**
 * Runs in the thread, as text: nothing outside is seen from it. Who computes too long speaks first, since the others wait for it; they speak
 * where it cannot, because it is stopped or its cable is pulled.
 */
const WATCH = `
const { workerData } = require('node:worker_threads');
const { writeSync } = require('node:fs');
const { memory, began, rank, timeoutSeconds, operations, abort, exitCode, words } = workerData;
const state = new Int32Array(memory, 0, words);
const timer = setInterval(() => {
  const seconds = Math.floor((Date.now() - began) / 1000) - Atomics.load(state, ${SINCE});
  const now = Atomics.load(state, ${STATE});
  const patience = now === ${STATES.starts} ? Math.min(timeoutSeconds, ${START_SECONDS}) : timeoutSeconds + (now === ${STATES.waits} ? 2 : 0);
  if (now === ${STATES.unhurried} || seconds < patience) return;
  clearInterval(timer);
  const place = Buffer.from(new Uint8Array(memory, words * 4, Atomics.load(state, ${PLACE_LENGTH}))).toString();
  const where = 'collective ' + Atomics.load(state, ${COUNT}) + ' (' + operations[Atomics.load(state, ${OPERATION})] + ')' + (place === '' ? '' : ' at ' + place);
  const what = now === ${STATES.starts} ? ' has waited ' + seconds + ' s for MPI to start: another rank did not come. The run ends; what that rank wrote may say why'
    : (now === ${STATES.waits} ? ' has waited ' + seconds + ' s in ' + where + ': another rank did not come'
      : ' has not come to a collective for ' + seconds + ' s; its last was ' + where) + '. The run ends; go on with --resume';
  writeSync(2, 'error: rank ' + rank + what + '\\n');
  // Before its start there is nothing to abort.
  setTimeout(() => process.kill(process.pid, 'SIGKILL'), now === ${STATES.starts} ? 100 : 5000);
  if (now !== ${STATES.starts}) setTimeout(() => require(abort.caller).load(abort.library, { global: true }).func(abort.declaration)(abort.world, exitCode), 100);
}, 250);
`;
