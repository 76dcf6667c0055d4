// Ends a run that no longer moves: a thread beside the event loop, which may itself be what hangs. It reads what this rank last did, names
// rank, operation and place, and aborts the run. Decides nothing else.
import { Worker } from 'node:worker_threads';
import type { MpiFamily } from './launcher.js';

/** Exit code of a run that was ended for not moving. */
export const STUCK_EXIT_CODE = 70;

const STATES = { computes: 0, waits: 1, unhurried: 2, starts: 3, ends: 4 } as const;
export type WatchState = keyof typeof STATES;

/**
 * Seconds that MPI has for its start and its end: at most, and beyond the time-out where that is less. There all ranks have only to be there. MPICH does not tell of one
 * that ended before it had begun with MPI.
 */
const MPI_SECONDS = { most: 300, beyond: 15 } as const;

/**
 * Those that MPICH has for its end where this rank computes in it, and where it waits. Before 4.2, with UCX over TCP, ranks on two hosts often stay in it for ever: one
 * asks for an answer, the other waits for its launcher (pmodels/mpich#6596). The launcher takes the end of the first for the end of the run; that of the other would break it.
 */
const MPICH_END_SECONDS = { computes: 5, waits: 15 } as const;

/** Seconds in which the launcher and its helpers must end after an abort. They wait for each other: one whose other host does not answer waits for ever. */
const LAUNCHER_SECONDS = 10;

/** What starts ranks on a host for one run, as the system calls it. srun is none: what it starts belongs to the batch system, which ends it. */
const LAUNCHERS = /^(mpirun|mpiexec|orted|prted|hydra_pmi_proxy)/;

/** Words of the heartbeat. */
const [STATE, SINCE, OPERATION, COUNT, PLACE_LENGTH, EXIT_CODE] = [0, 1, 2, 3, 4, 5];
const WORDS = 6;
const PLACE_BYTES = 120;

export interface WatchdogOptions {
  readonly rank: number;
  readonly family: MpiFamily;
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
  /** All is done, and MPI comes to its end; where it does not, the process ends with this code. */
  end(exitCode: number): void;
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
  const enter: Watchdog['enter'] = (state, operation) => {
    Atomics.store(words, SINCE, Math.floor((Date.now() - began) / 1000));
    if (operation !== undefined) {
      Atomics.store(words, OPERATION, operation);
      Atomics.add(words, COUNT, 1);
    }
    Atomics.store(words, STATE, STATES[state]);
  };
  return {
    enter,
    end(exitCode) {
      Atomics.store(words, EXIT_CODE, exitCode);
      enter('ends');
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
const { spawn } = require('node:child_process');
const { readFileSync, writeSync } = require('node:fs');
const { memory, began, rank, family, timeoutSeconds, operations, abort, exitCode, words } = workerData;
const state = new Int32Array(memory, 0, words);
const nameOf = (pid) => readFileSync('/proc/' + pid + '/comm', 'latin1').trim();
const parentOf = (pid) => Number(/\\) \\S (\\d+)/.exec(readFileSync('/proc/' + pid + '/stat', 'latin1'))[1]);
function endLauncherSoon() {
  try {
    let pid = process.ppid;
    while (pid > 1 && !${LAUNCHERS}.test(nameOf(pid))) pid = parentOf(pid);
    if (pid <= 1) return;
    const end = 'setTimeout(() => { if (require("node:fs").readFileSync("/proc/' + pid + '/comm", "latin1").trim() === "' + nameOf(pid) + '") process.kill(' + pid + ', "SIGKILL"); }, ${LAUNCHER_SECONDS * 1000})';
    spawn(process.execPath, ['-e', end], { detached: true, stdio: 'ignore' }).unref();
  } catch {
    // No Linux, or nothing may be started here: who started the launcher sees that it goes on.
  }
}
const inC = (declaration) => require(abort.caller).load(abort.library, { global: true }).func(declaration);
const kill = () => process.kill(process.pid, 'SIGKILL');
function killSoon() {
  endLauncherSoon();
  setTimeout(kill, 100);
}
function abortSoon() {
  endLauncherSoon();
  setTimeout(kill, 5000);
  setTimeout(() => inC(abort.declaration)(abort.world, exitCode), 100);
}
// The end of the process, not of this thread: from the C library, which MPI has loaded.
const leave = () => inC('void _exit(int)')(Atomics.load(state, ${EXIT_CODE}));
function last() {
  const place = Buffer.from(new Uint8Array(memory, words * 4, Atomics.load(state, ${PLACE_LENGTH}))).toString();
  return 'collective ' + Atomics.load(state, ${COUNT}) + ' (' + operations[Atomics.load(state, ${OPERATION})] + ')' + (place === '' ? '' : ' at ' + place);
}
const goOn = '. The run ends; go on with --resume';
const mpiSeconds = Math.min(timeoutSeconds + ${MPI_SECONDS.beyond}, ${MPI_SECONDS.most});
// By state: seconds that it may take, what is said then, and what is done. Outside of its start and its end there is nothing of MPI to abort.
const rules = {
  ${STATES.computes}: { seconds: () => timeoutSeconds, says: (waited) => ' has not come to a collective for ' + waited + ' s; its last was ' + last() + goOn, end: abortSoon },
  ${STATES.waits}: { seconds: () => timeoutSeconds + 2, says: (waited) => ' has waited ' + waited + ' s in ' + last() + ': another rank did not come' + goOn, end: abortSoon },
  ${STATES.starts}: { seconds: () => mpiSeconds, says: (waited) => ' has waited ' + waited + ' s for MPI to start: another rank did not come. The run ends; what that rank wrote may say why', end: killSoon },
  ${STATES.ends}: family === 'MPICH' ? { seconds: (isBusy) => (isBusy ? ${MPICH_END_SECONDS.computes} : ${MPICH_END_SECONDS.waits}), end: leave }
    : { seconds: () => mpiSeconds, says: (waited) => ' has waited ' + waited + ' s for MPI to end. All is done and saved; the processes are ended', end: killSoon },
};
let used = 0;
const timer = setInterval(() => {
  const waited = Math.floor((Date.now() - began) / 1000) - Atomics.load(state, ${SINCE});
  const { user, system } = process.cpuUsage();
  const isBusy = user + system - used > 50e3;
  used = user + system;
  const rule = rules[Atomics.load(state, ${STATE})];
  if (!rule || waited < rule.seconds(isBusy)) return;
  clearInterval(timer);
  if (rule.says) writeSync(2, 'error: rank ' + rank + rule.says(waited) + '\\n');
  rule.end();
}, 250);
`;
