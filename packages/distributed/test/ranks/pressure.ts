// A rank that keeps no array that it gave away, and whose garbage is collected while numbers travel: what MPI reads and writes must be held for it. Prints what
// went wrong, as one line of JSON. Started by a launcher; no test file of its own.
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { gatherValues, type CommArray } from '../../src/index.js';
import { openComm } from '../../src/node.js';

const rounds = Number(process.argv[2]);
const { comm } = openComm();
const { rank, size } = comm;
const background = await comm.background!();
const LENGTHS = [1, 1000, 40_000, 300_000];

/** Memory that was let go is written over at once. */
function collect(): void {
  globalThis.gc!();
  for (const length of LENGTHS) new Float32Array(length).fill(NaN);
}

/** What has begun, and whether its arrays are still there; nobody else has them. */
interface Begun {
  readonly done: Promise<boolean>;
  isHeld(): boolean;
}

function watch(arrays: readonly CommArray[], done: Promise<boolean>): Begun {
  const references = arrays.map((array) => new WeakRef(array));
  return { done, isHeld: () => references.every((reference) => reference.deref() !== undefined) };
}

const filled = (length: number, value: number): Float32Array => new Float32Array(length).fill(value);
const ranks = Array.from({ length: size }, (_, other) => other);
const total = ranks.reduce((sum, other) => sum + other + 1, 0);
const noError = (call: Promise<void>): Promise<boolean> => call.then(() => true);

const CALLS: readonly ((length: number) => Begun)[] = [
  (length) => {
    const values = filled(length, rank + 1);
    return watch([values], noError(comm.allReduce(values, 'sum')));
  },
  (length) => {
    const [send, receive] = [filled(size * length, rank + 1), new Float32Array(length)];
    return watch([send, receive], noError(comm.reduceScatter(send, receive, 'sum')));
  },
  (length) => {
    const [send, receive] = [filled(length, rank), new Float32Array(size * length)];
    return watch([send, receive], noError(comm.allGather(send, receive)));
  },
  (length) => {
    const [send, receive] = [filled(size * length, rank), new Float32Array(size * length)];
    const [sendCounts, receiveCounts] = [new Int32Array(size).fill(length), new Int32Array(size).fill(length)];
    return watch([send, receive, sendCounts, receiveCounts], noError(comm.allToAllV(send, sendCounts, receive, receiveCounts)));
  },
  (length) => {
    const values = filled(length, rank);
    return watch([values], noError(comm.broadcast(values, size - 1)));
  },
  // One that is looked at afterwards: what travelled is what was sent.
  (length) => {
    const values = filled(length, rank + 1);
    return watch([], comm.allReduce(values, 'sum').then(() => values.every((value) => value === total)));
  },
];

/** Beside the calls; nobody asks whether it is done. */
function forgotten(tag: number, length: number): Begun {
  const [sends, receives] = [ranks.map((to) => filled(length, to)), ranks.map((from) => (from === rank ? filled(length, rank) : new Float32Array(length)))];
  background.exchange(tag, sends, receives);
  const inFlight = [...sends, ...receives].filter((_, index) => index % size !== rank);
  return watch(inFlight, Promise.resolve(true));
}

const problems: string[] = [];
for (let round = 0; round < rounds; round++) {
  const length = LENGTHS[round % LENGTHS.length]!;
  const isLate = round % size === rank;
  comm.note(`round ${round}`);
  if (isLate) await sleep(20);
  const begun = [...CALLS.map((call) => call(length)), forgotten(round, length)];
  for (let turn = 0; turn < 4; turn++) {
    collect();
    // Rank by rank is late: the others' calls are under way meanwhile.
    if (!isLate && turn === 0) problems.push(...begun.flatMap((one, call) => (one.isHeld() ? [] : [`call ${call} of round ${round} was let go`])));
    await nextTurn();
  }
  for (const [call, right] of (await Promise.all(begun.map(({ done }) => done))).entries()) if (!right) problems.push(`call ${call} of round ${round} came out wrong`);
}
const all = await gatherValues(comm, problems);
if (rank === 0) process.stdout.write(`${JSON.stringify(all.flat())}\n`);
await comm.close();
