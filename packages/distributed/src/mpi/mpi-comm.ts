// Collectives over MPI. Each begins with a small reduction that all ranks wait for with their event loop alive, and which shows whether they are
// at the same call; the transfer itself then waits for nobody.
import { XMoEError } from '@xmoe/core';
import { checkExchange, checkLength, checkParts, checkRoot, type BackgroundComm, type Comm, type CommArray, type ReduceOperation } from '../comm.js';
import type { Handle, MpiKind, Transfer } from './abi.js';
import { createMpiBackground } from './background.js';
import { areAlike, callSums, lengthsOf, pairsDiffer, type Call, type Exchange } from './call-sums.js';
import { begin, checkCode, finishUntil, isDone, waitUntil, type Request } from './requests.js';
import { OPERATIONS, startWaiting, type MpiWorld, type Operation } from './world.js';

/** What all ranks of a call must have alike, beside its name and number. */
type Details = readonly [kind: number, length: number, detail: number];

const NO_CALL: Details = [0, 0, 0];
const KINDS: readonly MpiKind[] = ['Float32Array', 'Float64Array', 'Int32Array', 'Uint8Array'];
const REDUCTIONS: readonly ReduceOperation[] = ['sum', 'max', 'min'];

/** Bytes of a transfer, mean over ranks, up to which MPICH is asked with pauses; more are moved by a call that keeps the core, and its speed. */
const FEW = 2 ** 16;

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
    const { inPlace, kinds, operations } = this.#world.abi;
    await this.#collective('allReduce', [kindOf(values), values.length, REDUCTIONS.indexOf(operation)], () =>
      this.#transfer('Allreduce', [inPlace, values, values.length, kinds[nameOf(values)], operations[operation]], values.byteLength));
  }

  async reduceScatter<A extends CommArray>(send: A, receive: A, operation: ReduceOperation): Promise<void> {
    checkParts('reduceScatter', receive, send, this.size);
    const { kinds, operations } = this.#world.abi;
    await this.#collective('reduceScatter', [kindOf(send), receive.length, REDUCTIONS.indexOf(operation)], () =>
      this.#transfer('Reduce_scatter_block', [send, receive, receive.length, kinds[nameOf(send)], operations[operation]], send.byteLength));
  }

  async allGather<A extends CommArray>(send: A, receive: A): Promise<void> {
    checkParts('allGather', send, receive, this.size);
    const { kinds } = this.#world.abi;
    const kind = kinds[nameOf(send)];
    await this.#collective('allGather', [kindOf(send), send.length, 0], () =>
      this.#transfer('Allgather', [send, send.length, kind, receive, send.length, kind], receive.byteLength));
  }

  async allToAllV<A extends CommArray>(send: A, sendCounts: Int32Array, receive: A, receiveCounts: Int32Array): Promise<void> {
    const [sendFrom, receiveFrom] = checkExchange('allToAllV', { send, sendCounts, receive, receiveCounts }, this.size);
    const { kinds } = this.#world.abi;
    const kind = kinds[nameOf(send)];
    await this.#collective('allToAllV', [kindOf(send), 0, 0], (lengths) =>
      this.#transfer('Alltoallv', [send, sendCounts, sendFrom, kind, receive, receiveCounts, receiveFrom, kind], meanBytes(lengths, send, this.size)),
    { sendCounts, receiveCounts, length: send.length });
  }

  allToAllVNow<A extends CommArray>(send: A, sendCounts: Int32Array, receive: A, receiveCounts: Int32Array): void {
    const op = 'allToAllVNow';
    const [sendFrom, receiveFrom] = checkExchange(op, { send, sendCounts, receive, receiveCounts }, this.size);
    const { abi: { kinds }, pending, closed } = this.#world;
    if (closed || pending > 0) throw new XMoEError('value', closed ? 'the run has ended' : 'another collective of this process is under way', { op, hint: 'await it first' });
    const kind = kinds[nameOf(send)];
    const endWaiting = startWaiting(this.#world, op);
    try {
      const exchange = { sendCounts, receiveCounts, length: send.length };
      const call: Call = [OPERATIONS.indexOf(op), this.#calls++, kindOf(send), 0, 0];
      const sums = callSums(call, this, exchange);
      this.#waitFor(this.#begin('Allreduce', this.#meeting(sums)));
      this.#requireAlike(op, call, sums, exchange);
      this.#transfer('Alltoallv', [send, sendCounts, sendFrom, kind, receive, receiveCounts, receiveFrom, kind], meanBytes(lengthsOf(sums), send, this.size));
    } finally {
      endWaiting();
    }
  }

  async broadcast(values: CommArray, root: number): Promise<void> {
    checkRoot('broadcast', root, this.size);
    checkLength('broadcast', values);
    const { kinds } = this.#world.abi;
    await this.#collective('broadcast', [kindOf(values), values.length, root], () => this.#transfer('Bcast', [values, values.length, kinds[nameOf(values)], root], values.byteLength));
  }

  async barrier(): Promise<void> {
    await this.#collective('barrier', NO_CALL, () => undefined);
  }

  async split(color: number, key = this.rank): Promise<Comm> {
    if (!Number.isInteger(color) || color < 0) throw new XMoEError('value', `the color ${color} is no whole number from 0`, { op: 'split', hint: 'number the groups' });
    return new MpiComm(this.#world, await this.#split(color, key));
  }

  async background(): Promise<BackgroundComm> {
    return createMpiBackground(this.#world, await this.#split(0, this.rank), this);
  }

  async #split(color: number, key: number): Promise<Handle> {
    const out: [Handle | null] = [null];
    await this.#collective('split', NO_CALL, () => this.#check('Comm_split', this.#world.abi.call.Comm_split(this.#handle, color, key, out)));
    return out[0]!;
  }

  abort(exitCode: number): void {
    this.#world.abi.call.Abort(this.#world.abi.world, exitCode);
  }

  note(place: string): void {
    this.#world.watchdog.note(place);
  }

  communicationSeconds(): number {
    return this.#world.spent / 1000;
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

  async close(exitCode = 0): Promise<void> {
    if (this.#world.closed) return;
    await this.#collective('close', NO_CALL, () => {
      this.#world.closed = true;
      this.#world.watchdog.end(exitCode);
      this.#check('Finalize', this.#world.abi.call.Finalize());
      this.#world.watchdog.stop();
    });
  }

  /** One collective after another: waits until all ranks are at `call`, then does `transfer`, which is told the `lengths` of all exchanges together. */
  #collective(operation: Operation, details: Details, transfer: (lengths: number) => void | Promise<void>, exchange?: Exchange): Promise<void> {
    const world = this.#world;
    const run = async (): Promise<void> => {
      if (world.closed) throw new XMoEError('disposed', `${operation} after the end of the run`, { op: operation, hint: 'call close last' });
      const endWaiting = startWaiting(world, operation);
      try {
        const call: Call = [OPERATIONS.indexOf(operation), this.#calls++, ...details];
        const sums = callSums(call, this, exchange);
        const request = this.#begin('Allreduce', this.#meeting(sums));
        await finishUntil(() => isDone(world.abi, request));
        this.#requireAlike(operation, call, sums, exchange);
        await transfer(lengthsOf(sums));
      } finally {
        endWaiting();
      }
    };
    world.pending++;
    const done = world.last.then(run).finally(() => world.pending--);
    world.last = done.catch(() => undefined);
    return done;
  }

  /** The reduction that every collective begins with. */
  #meeting(sums: Float64Array): readonly unknown[] {
    const { inPlace, kinds, operations } = this.#world.abi;
    return [inPlace, sums, sums.length, kinds.Float64Array, operations.sum];
  }

  /** @throws XMoEError `value` on all ranks, that names the first rank which is at another call than rank 0, or counts that do not fit together */
  #requireAlike(operation: Operation, call: Call, sums: Float64Array, exchange?: Exchange): void {
    if (!areAlike(sums, this.size)) throw this.#differentCalls(operation, call);
    if (exchange && pairsDiffer(sums)) throw this.#differentCounts(exchange);
  }

  #differentCalls(operation: Operation, call: Call): XMoEError {
    const { abi } = this.#world;
    const all = new Float64Array(call.length * this.size);
    this.#check('Allgather', abi.call.Allgather(Float64Array.from(call), call.length, abi.kinds.Float64Array, all, call.length, abi.kinds.Float64Array, this.#handle));
    const callOf = (rank: number): readonly number[] => Array.from(all.subarray(rank * call.length, (rank + 1) * call.length));
    const other = Array.from({ length: this.size }, (_, rank) => rank).find((rank) => callOf(rank).some((value, index) => value !== all[index]))!;
    return new XMoEError('value', `the ranks are at different calls: rank 0 at ${describe(callOf(0))}, rank ${other} at ${describe(callOf(other))}`, {
      op: operation, hint: 'all ranks call the same collectives, in the same order, with the same lengths',
    });
  }

  /** What a rank expects of another is not what that one sends. */
  #differentCounts({ sendCounts, receiveCounts }: Exchange): XMoEError {
    const { call, kinds } = this.#world.abi;
    const coming = new Int32Array(this.size);
    this.#check('Alltoall', call.Alltoall(sendCounts, 1, kinds.Int32Array, coming, 1, kinds.Int32Array, this.#handle));
    const wrong = coming.findIndex((count, from) => count !== receiveCounts[from]);
    const here = wrong === -1 ? 'another rank expects other counts than are sent' : `rank ${wrong} sends ${coming[wrong]} numbers to rank ${this.rank}, which expects ${receiveCounts[wrong]}`;
    return new XMoEError('value', here, { op: 'allToAllV', hint: 'exchange the counts first' });
  }

  /**
   * A call to which all ranks have come; `bytes` are the same on all of them. Open MPI leaves the core to others while it waits, where it is told to
   * (`prepareEnvironment`); its exchanges that do not wait are not used, in 4.1.4 they were cut short.
   */
  #transfer(name: Transfer, values: readonly unknown[], bytes: number): void {
    const { call, family } = this.#world.abi;
    if (bytes > FEW || family === 'Open MPI') return this.#check(name, call[name](...values, this.#handle));
    this.#waitFor(this.#begin(name, values));
  }

  #waitFor(request: Request): void {
    waitUntil(() => isDone(this.#world.abi, request));
  }

  #begin(name: Transfer, values: readonly unknown[]): Request {
    return begin(this.#world.abi, `I${name.toLowerCase() as Lowercase<Transfer>}`, [...values, this.#handle]);
  }

  #number(name: string, write: (out: [number]) => number): number {
    const out: [number] = [0];
    this.#check(name, write(out));
    return out[0];
  }

  #check(name: string, code: number): void {
    checkCode(this.#world.abi, name, code);
  }
}

/** Of an exchange of `lengths` numbers in all. */
const meanBytes = (lengths: number, { BYTES_PER_ELEMENT }: CommArray, size: number): number => (lengths * BYTES_PER_ELEMENT) / size;

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
