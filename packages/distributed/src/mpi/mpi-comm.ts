// Collectives over MPI. Each begins with a small reduction that all ranks wait for with their event loop alive, and which shows whether they are
// at the same call; the transfer itself, which then waits for nobody, is one blocking native call.
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { XMoEError } from '@xmoe/core';
import { checkExchange, checkLength, checkParts, checkRoot, type Comm, type CommArray, type ReduceOperation } from '../comm.js';
import { textFrom, type Handle, type MpiAbi, type MpiKind } from './abi.js';
import type { Watchdog } from './watchdog.js';

export const OPERATIONS = ['nothing', 'allReduce', 'reduceScatter', 'allGather', 'allToAllV', 'broadcast', 'barrier', 'split', 'close', 'allToAllVNow'] as const;
type Operation = (typeof OPERATIONS)[number];

/** What all communicators of a process share. */
export interface MpiWorld {
  readonly abi: MpiAbi;
  readonly watchdog: Watchdog;
  /** The end of the last collective of this process: one at a time, on whichever communicator, so that no two can wait for each other. */
  last: Promise<unknown>;
  /** Collectives that are called and not done. */
  pending: number;
  closed: boolean;
  /** Works outside of the time-out that are going on. */
  unhurried: number;
}

/** What all ranks of a call must have alike. */
type Call = readonly [kind: number, length: number, detail: number];

const NO_CALL: Call = [0, 0, 0];
const KINDS: readonly MpiKind[] = ['Float32Array', 'Float64Array', 'Int32Array', 'Uint8Array'];
const REDUCTIONS: readonly ReduceOperation[] = ['sum', 'max', 'min'];

/** Milliseconds of asking at once, and of asking every turn of the event loop, before the questions are a millisecond apart. */
const [AT_ONCE, EVERY_TURN] = [0.2, 3];

export class MpiComm implements Comm {
  readonly rank: number;
  readonly size: number;
  readonly #world: MpiWorld;
  readonly #handle: Handle;
  #calls = 0;

  constructor(world: MpiWorld, handle: Handle) {
    this.#world = world;
    this.#handle = handle;
    const { call } = world.abi;
    this.#check('Comm_set_errhandler', call.Comm_set_errhandler(handle, world.abi.errorsReturn));
    this.rank = this.#number('Comm_rank', (out) => call.Comm_rank(handle, out));
    this.size = this.#number('Comm_size', (out) => call.Comm_size(handle, out));
  }

  async allReduce(values: CommArray, operation: ReduceOperation): Promise<void> {
    checkLength('allReduce', values);
    const { call, inPlace, kinds, operations } = this.#world.abi;
    await this.#collective('allReduce', [kindOf(values), values.length, REDUCTIONS.indexOf(operation)], () =>
      this.#check('Allreduce', call.Allreduce(inPlace, values, values.length, kinds[nameOf(values)], operations[operation], this.#handle)));
  }

  async reduceScatter<A extends CommArray>(send: A, receive: A, operation: ReduceOperation): Promise<void> {
    checkParts('reduceScatter', receive, send, this.size);
    const { call, kinds, operations } = this.#world.abi;
    await this.#collective('reduceScatter', [kindOf(send), receive.length, REDUCTIONS.indexOf(operation)], () =>
      this.#check('Reduce_scatter_block', call.Reduce_scatter_block(send, receive, receive.length, kinds[nameOf(send)], operations[operation], this.#handle)));
  }

  async allGather<A extends CommArray>(send: A, receive: A): Promise<void> {
    checkParts('allGather', send, receive, this.size);
    const { call, kinds } = this.#world.abi;
    const kind = kinds[nameOf(send)];
    await this.#collective('allGather', [kindOf(send), send.length, 0], () =>
      this.#check('Allgather', call.Allgather(send, send.length, kind, receive, send.length, kind, this.#handle)));
  }

  async allToAllV<A extends CommArray>(send: A, sendCounts: Int32Array, receive: A, receiveCounts: Int32Array): Promise<void> {
    const [sendFrom, receiveFrom] = checkExchange('allToAllV', { send, sendCounts, receive, receiveCounts }, this.size);
    const { call, kinds } = this.#world.abi;
    const kind = kinds[nameOf(send)];
    await this.#collective('allToAllV', [kindOf(send), 0, 0], () => {
      this.#checkCounts(sendCounts, receiveCounts);
      this.#check('Alltoallv', call.Alltoallv(send, sendCounts, sendFrom, kind, receive, receiveCounts, receiveFrom, kind, this.#handle));
    });
  }

  allToAllVNow<A extends CommArray>(send: A, sendCounts: Int32Array, receive: A, receiveCounts: Int32Array): void {
    const op = 'allToAllVNow';
    const [sendFrom, receiveFrom] = checkExchange(op, { send, sendCounts, receive, receiveCounts }, this.size);
    const { abi: { call, kinds, inPlace, operations }, pending, closed, watchdog, unhurried } = this.#world;
    if (closed || pending > 0) throw new XMoEError('value', closed ? 'the run has ended' : 'another collective of this process is under way', { op, hint: 'await it first' });
    const kind = kinds[nameOf(send)];
    if (unhurried === 0) watchdog.enter('waits', OPERATIONS.indexOf(op));
    const own = [OPERATIONS.indexOf(op), this.#calls++, kindOf(send), 0, 0];
    const least = bothWays(own);
    this.#check('Allreduce', call.Allreduce(inPlace, least, least.length, kinds.Float64Array, operations.min, this.#handle));
    this.#compare(op, own, least);
    this.#checkCounts(sendCounts, receiveCounts);
    this.#check('Alltoallv', call.Alltoallv(send, sendCounts, sendFrom, kind, receive, receiveCounts, receiveFrom, kind, this.#handle));
    if (unhurried === 0) watchdog.enter('computes');
  }

  async broadcast(values: CommArray, root: number): Promise<void> {
    checkRoot('broadcast', root, this.size);
    checkLength('broadcast', values);
    const { call, kinds } = this.#world.abi;
    await this.#collective('broadcast', [kindOf(values), values.length, root], () =>
      this.#check('Bcast', call.Bcast(values, values.length, kinds[nameOf(values)], root, this.#handle)));
  }

  async barrier(): Promise<void> {
    await this.#collective('barrier', NO_CALL, () => undefined);
  }

  async split(color: number, key = this.rank): Promise<Comm> {
    if (!Number.isInteger(color) || color < 0) throw new XMoEError('value', `the color ${color} is no whole number from 0`, { op: 'split', hint: 'number the groups' });
    const out: [Handle | null] = [null];
    await this.#collective('split', NO_CALL, () => this.#check('Comm_split', this.#world.abi.call.Comm_split(this.#handle, color, key, out)));
    return new MpiComm(this.#world, out[0]!);
  }

  abort(exitCode: number): void {
    this.#world.abi.call.Abort(this.#world.abi.world, exitCode);
  }

  note(place: string): void {
    this.#world.watchdog.note(place);
  }

  async unhurried<Result>(work: () => Promise<Result>): Promise<Result> {
    const world = this.#world;
    world.unhurried++;
    world.watchdog.enter('unhurried');
    try {
      return await work();
    } finally {
      world.unhurried--;
      world.watchdog.enter(world.unhurried > 0 ? 'unhurried' : 'computes');
    }
  }

  async close(): Promise<void> {
    if (this.#world.closed) return;
    await this.#collective('close', NO_CALL, () => {
      this.#world.closed = true;
      this.#world.watchdog.stop();
      this.#check('Finalize', this.#world.abi.call.Finalize());
    });
  }

  /** One collective after another: waits until all ranks are at `call`, then does `transfer`. */
  #collective(operation: Operation, call: Call, transfer: () => void | Promise<void>): Promise<void> {
    const world = this.#world;
    const run = async (): Promise<void> => {
      if (world.closed) throw new XMoEError('disposed', `${operation} after the end of the run`, { op: operation, hint: 'call close last' });
      const hurried = world.unhurried === 0;
      if (hurried) world.watchdog.enter('waits', OPERATIONS.indexOf(operation));
      try {
        await this.#meet(operation, [OPERATIONS.indexOf(operation), this.#calls++, ...call]);
        await transfer();
      } finally {
        if (hurried && !world.closed) world.watchdog.enter('computes');
      }
    };
    world.pending++;
    const done = world.last.then(run).finally(() => world.pending--);
    world.last = done.catch(() => undefined);
    return done;
  }

  /** Waits for all ranks. @throws XMoEError `value` that names the first rank which is at another call than rank 0 */
  async #meet(operation: Operation, call: readonly number[]): Promise<void> {
    const { abi } = this.#world;
    const least = bothWays(call);
    const request: [Handle | null] = [null];
    this.#check('Iallreduce', abi.call.Iallreduce(abi.inPlace, least, least.length, abi.kinds.Float64Array, abi.operations.min, this.#handle, request));
    await this.#finish(request);
    // Read after the request is done, which also keeps the array alive until then.
    this.#compare(operation, call, least);
  }

  /** `least` of all ranks is what this one is at, unless they are at different calls. */
  #compare(operation: Operation, call: readonly number[], least: Float64Array): void {
    const { abi } = this.#world;
    if (call.every((value, index) => least[index] === value && least[call.length + index] === -value)) return;
    const all = new Float64Array(call.length * this.size);
    this.#check('Allgather', abi.call.Allgather(Float64Array.from(call), call.length, abi.kinds.Float64Array, all, call.length, abi.kinds.Float64Array, this.#handle));
    const callOf = (rank: number): readonly number[] => Array.from(all.subarray(rank * call.length, (rank + 1) * call.length));
    const other = Array.from({ length: this.size }, (_, rank) => rank).find((rank) => callOf(rank).some((value, index) => value !== all[index]))!;
    throw new XMoEError('value', `the ranks are at different calls: rank 0 at ${describe(callOf(0))}, rank ${other} at ${describe(callOf(other))}`, {
      op: operation, hint: 'all ranks call the same collectives, in the same order, with the same lengths',
    });
  }

  /** Polite waiting: the longer it takes, the less it asks. */
  async #finish(request: [Handle | null]): Promise<void> {
    const { call, statusIgnore } = this.#world.abi;
    const flag: [number] = [0];
    const began = performance.now();
    for (;;) {
      this.#check('Test', call.Test(request, flag, statusIgnore));
      if (flag[0] !== 0) return;
      const waited = performance.now() - began;
      if (waited < AT_ONCE) continue;
      await (waited < EVERY_TURN ? nextTurn() : sleep(1));
    }
  }

  /** What each rank expects of each other is what that one sends. */
  #checkCounts(sendCounts: Int32Array, receiveCounts: Int32Array): void {
    const { call, kinds, operations, inPlace } = this.#world.abi;
    const coming = new Int32Array(this.size);
    this.#check('Alltoall', call.Alltoall(sendCounts, 1, kinds.Int32Array, coming, 1, kinds.Int32Array, this.#handle));
    const wrong = coming.findIndex((count, from) => count !== receiveCounts[from]);
    const isWrong = Int32Array.of(wrong === -1 ? 0 : 1);
    this.#check('Allreduce', call.Allreduce(inPlace, isWrong, 1, kinds.Int32Array, operations.max, this.#handle));
    if (isWrong[0] === 0) return;
    const here = wrong === -1 ? 'another rank expects other counts than are sent' : `rank ${wrong} sends ${coming[wrong]} numbers to rank ${this.rank}, which expects ${receiveCounts[wrong]}`;
    throw new XMoEError('value', here, { op: 'allToAllV', hint: 'exchange the counts first' });
  }

  #number(name: string, write: (out: [number]) => number): number {
    const out: [number] = [0];
    this.#check(name, write(out));
    return out[0];
  }

  #check(name: string, code: number): void {
    if (code === 0) return;
    const text = textFrom((buffer, length) => this.#world.abi.call.Error_string(code, buffer, length));
    throw new XMoEError('io', `MPI_${name} failed: ${text.split('\n')[0]!}`, { op: 'mpi', hint: 'the messages of the launcher say more' });
  }
}

/** The smallest of each over all ranks shows the largest too. */
const bothWays = (call: readonly number[]): Float64Array => Float64Array.from([...call, ...call.map((value) => -value)]);

const nameOf = (values: CommArray): MpiKind => {
  const kind = KINDS.find((name) => values.constructor.name === name);
  if (kind === undefined) throw new XMoEError('value', `${values.constructor.name} does not travel`, { op: 'mpi', hint: `use ${KINDS.join(', ')}` });
  return kind;
};
const kindOf = (values: CommArray): number => KINDS.indexOf(nameOf(values));

function describe([operation, count, kind, length, detail]: readonly number[]): string {
  const name = OPERATIONS[operation!]!;
  if (['barrier', 'split', 'close'].includes(name)) return `call ${count} (${name})`;
  const reduction = name === 'allReduce' || name === 'reduceScatter' ? `, ${REDUCTIONS[detail!]}` : name === 'broadcast' ? `, from rank ${detail}` : '';
  return `call ${count} (${name} of ${length === 0 && name.startsWith('allToAllV') ? '' : `${length} of `}${KINDS[kind!]}${reduction})`;
}
