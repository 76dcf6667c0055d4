// What processes that train together can do with each other: the interface, and what every implementation refuses. No transport is here.
import { XMoEError } from '@xmoe/core';

/** Numbers that travel. */
export type CommArray = Float32Array | Float64Array | Int32Array | Uint8Array;

/** How numbers of several ranks become one. */
export type ReduceOperation = 'sum' | 'max' | 'min';

/**
 * The processes of a run, seen from one of them. Each collective is called by every rank, in the same order, with the same lengths; a rank
 * that does otherwise is an error of code `value` on all of them. One process may call several at once: they run one after another.
 * While a rank waits for others its event loop goes on.
 */
export interface Comm {
  /** 0 … size − 1. */
  readonly rank: number;
  readonly size: number;
  /** Replaces `values` by the sum, maximum or minimum over all ranks. How a sum rounds depends on the number of ranks: see `reduceInOrder`. */
  allReduce(values: CommArray, operation: ReduceOperation): Promise<void>;
  /** Reduces `send`, of `size` equal parts, and writes part `rank` into `receive`. */
  reduceScatter<A extends CommArray>(send: A, receive: A, operation: ReduceOperation): Promise<void>;
  /** Writes the `send` of all ranks, which are of one length, into `receive`, by rank. */
  allGather<A extends CommArray>(send: A, receive: A): Promise<void>;
  /**
   * `sendCounts[d]` numbers go to rank d, in the order of `send`; `receiveCounts[s]` come from rank s, in the order of `receive`. What a rank
   * expects must be what the others send: they exchange their counts before.
   */
  allToAllV<A extends CommArray>(send: A, sendCounts: Int32Array, receive: A, receiveCounts: Int32Array): Promise<void>;
  /**
   * The same for a computation that cannot be left in its middle: the thread waits, and with it the event loop. Not while another collective of
   * this process is under way.
   */
  allToAllVNow<A extends CommArray>(send: A, sendCounts: Int32Array, receive: A, receiveCounts: Int32Array): void;
  /** Replaces `values` on all ranks by those of rank `root`. */
  broadcast(values: CommArray, root: number): Promise<void>;
  /** Returns once all ranks are here. */
  barrier(): Promise<void>;
  /** The ranks that name the same `color`, ordered by `key`, then by their rank here. */
  split(color: number, key?: number): Promise<Comm>;
  /** Ends every process of the run with this exit code. */
  abort(exitCode: number): void;
  /** What is being done, for the message of a time-out, e.g. `step 50`. */
  note(place: string): void;
  /**
   * Seconds that this process has spent in collectives so far, with waiting for slower ranks, on this communicator and all others. Absent where nobody
   * is waited for.
   */
  communicationSeconds?(): number;
  /** Runs what may take any time (one rank prepares data, the others wait for it) outside of the time-out. */
  unhurried<Result>(work: () => Promise<Result>): Promise<Result>;
  /** A way for transfers beside a computation, called by all ranks. Absent where there is none. */
  background?(): Promise<BackgroundComm>;
  /**
   * The end, called by all ranks: without it a launcher takes the end of a process for a failure. The process may end within it, with this exit code, where the
   * library does not come to its end.
   */
  close(exitCode?: number): Promise<void>;
}

/** A transfer that has begun. */
export interface Transfer {
  /** Whether it is over. Asking is what moves it on. */
  isDone(): boolean;
}

/** Transfers that begin when they are called for and wait for nobody. They do not meet with the collectives of a `Comm`. */
export interface BackgroundComm {
  readonly rank: number;
  readonly size: number;
  /**
   * `sends[d]` goes to rank d, what rank s sends comes into `receives[s]`, which is as long. The arrays are not to be touched until it is done, and are held
   * until `isDone` has said so, whoever lets go of the transfer.
   * @param tag 0 … 32767, by which ranks know the transfer among those that are under way
   */
  exchange(tag: number, sends: readonly Float32Array[], receives: readonly Float32Array[]): Transfer;
  /** Waits, with the event loop, until `isDone`. */
  finish(isDone: () => boolean): Promise<void>;
  /** The same for a computation that cannot be left in its middle: the thread waits. */
  finishNow(isDone: () => boolean): void;
}

/** MPI counts in C integers. */
const MOST = 2 ** 31 - 1;

const refuse = (op: string, message: string, hint: string): never => {
  throw new XMoEError('value', message, { op, hint });
};

const kindOf = (values: CommArray): string => values.constructor.name;

/** @throws XMoEError `value` for more numbers than one call takes */
export function checkLength(op: string, values: CommArray): void {
  if (values.length > MOST) refuse(op, `${values.length} numbers are more than ${MOST}`, 'send them in pieces');
}

/** @throws XMoEError `value` unless `root` is a rank */
export function checkRoot(op: string, root: number, size: number): void {
  if (!Number.isInteger(root) || root < 0 || root >= size) refuse(op, `there is no rank ${root} among ${size}`, `name one from 0 to ${size - 1}`);
}

/** @throws XMoEError `value` unless `large` holds `size` times what `small` holds, of the same kind */
export function checkParts(op: string, small: CommArray, large: CommArray, size: number): void {
  if (kindOf(small) !== kindOf(large)) refuse(op, `${kindOf(small)} and ${kindOf(large)} do not go together`, 'use one kind of array');
  if (large.length !== small.length * size) refuse(op, `${size} times ${small.length} numbers do not make ${large.length}`, 'make the longer array size times as long as the shorter');
  checkLength(op, large);
}

/** Where the part of each rank begins. @throws XMoEError `value` for counts that do not fit to the array or the ranks */
function displacementsOf(op: string, what: string, values: CommArray, counts: Int32Array, size: number): Int32Array {
  if (!(counts instanceof Int32Array) || counts.length !== size) refuse(op, `${counts.length} counts of what to ${what} for ${size} ranks`, 'pass an Int32Array with a count for each rank');
  const displacements = new Int32Array(size);
  let total = 0;
  for (let rank = 0; rank < size; rank++) {
    if (counts[rank] < 0) refuse(op, `${counts[rank]} numbers to ${what} for rank ${rank}`, 'counts begin at 0');
    displacements[rank] = total;
    total += counts[rank];
  }
  if (total !== values.length) refuse(op, `the counts of what to ${what} add up to ${total}, the array holds ${values.length}`, 'make the array as long as its counts say');
  checkLength(op, values);
  return displacements;
}

/** Both directions of `allToAllV`. */
export function checkExchange<A extends CommArray>(op: string, { send, sendCounts, receive, receiveCounts }: { send: A; sendCounts: Int32Array; receive: A; receiveCounts: Int32Array }, size: number): [Int32Array, Int32Array] {
  if (kindOf(send) !== kindOf(receive)) refuse(op, `${kindOf(send)} and ${kindOf(receive)} do not go together`, 'use one kind of array');
  return [displacementsOf(op, 'send', send, sendCounts, size), displacementsOf(op, 'receive', receive, receiveCounts, size)];
}

/** Of `BackgroundComm.exchange`: as many as every MPI has. */
export const TAGS = 2 ** 15;

/** @throws XMoEError `value` for a tag that there is not, arrays that are not one for each rank, and what a rank keeps in another length than it has */
export function checkBackground(tag: number, sends: readonly Float32Array[], receives: readonly Float32Array[], { rank, size }: Pick<BackgroundComm, 'rank' | 'size'>): void {
  const op = 'exchange';
  if (!Number.isInteger(tag) || tag < 0 || tag >= TAGS) refuse(op, `there is no tag ${tag}`, `number them from 0 to ${TAGS - 1}`);
  for (const [what, arrays] of [['send', sends], ['receive', receives]] as const) {
    if (arrays.length !== size || !arrays.every((values) => values instanceof Float32Array)) refuse(op, `${arrays.length} arrays to ${what} for ${size} ranks`, 'pass a Float32Array for each rank');
    for (const values of arrays) checkLength(op, values);
  }
  if (sends[rank]!.length !== receives[rank]!.length) refuse(op, `rank ${rank} sends ${sends[rank]!.length} numbers to itself, and expects ${receives[rank]!.length}`, 'make both as long');
}
