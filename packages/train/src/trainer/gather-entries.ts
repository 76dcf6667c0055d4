// A whole tensor of the host from the parts that ranks hold, on one of them.
import { XMoEError, type ParameterSpec } from '@xmoe/core';
import type { Comm } from '@xmoe/distributed';
import { entryName, expertsIn } from '../checkpoint/expert-names.js';

/** Hashes of `digits` characters, one behind the other, of so many equal pieces of some bytes. */
export interface PieceHashes {
  readonly digits: number;
  of(bytes: Uint8Array, pieces: number): string;
}

export interface GatherOptions {
  /** Of the whole, `m.` or `v.` before it for moments. */
  readonly name: string;
  /** The rank that gets the whole. */
  readonly to: number;
  /** Compared at both ends: of every expert, of other tensors of what one rank sends. Absent: what comes is taken as it is. */
  readonly hashes?: PieceHashes | undefined;
}

/** What a rank holds of the first axis. */
interface Held {
  readonly first: number;
  readonly count: number;
}

/**
 * The whole tensor on rank `to` of `comm`, null on the others; all call it together. `own` is this rank's part, none for 0 entries.
 * @throws XMoEError `checkpoint` that names the entry, or the layer and the expert, unless each is with one rank, with one alone, and came as it left
 */
export async function gatherEntries(comm: Comm, { name, to, hashes }: GatherOptions, own: Float32Array, { begin, of }: NonNullable<ParameterSpec['part']>, perEntry: number): Promise<Float32Array | null> {
  const held = await placesOf(comm, { first: begin, count: own.length / Math.max(1, perEntry) });
  const holders = new Int32Array(of);
  for (const { first, count } of held) for (let entry = first; entry < first + count; entry++) holders[entry]!++;
  const wrong = holders.findIndex((count) => count !== 1);
  if (wrong !== -1) throw fault(`${holders[wrong]} ranks hold ${entryName(name, wrong)}`);
  const whole = comm.rank === to ? new Float32Array(of * perEntry) : null;
  let changed: { from: number; entry: number } | null = null; // raised at the end: the others do not know of it, and go on
  for (const [rank, { first, count }] of held.entries()) {
    const part = whole?.subarray(first * perEntry, (first + count) * perEntry);
    if (rank === to) part?.set(own);
    else {
      await send(comm, { from: rank, to }, own, part);
      const piece = hashes && (await firstChanged(comm, { from: rank, to }, hashes, expertsIn(name) ? count : Math.min(1, count), own, part));
      if (piece !== undefined) changed ??= { from: rank, entry: first + piece };
    }
  }
  if (changed) throw fault(`${entryName(name, changed.entry)} came from rank ${changed.from} other than it left`);
  return whole;
}

async function placesOf(comm: Comm, { first, count }: Held): Promise<Held[]> {
  const all = new Int32Array(2 * comm.size);
  await comm.allGather(Int32Array.of(first, count), all);
  return Array.from({ length: comm.size }, (_, rank) => ({ first: all[2 * rank]!, count: all[2 * rank + 1]! }));
}

interface Way {
  readonly from: number;
  readonly to: number;
}

/** `own` of rank `from` goes into `into` of rank `to`; the others only take part. */
async function send<A extends Float32Array | Uint8Array>(comm: Comm, { from, to }: Way, own: A, into: A | undefined): Promise<void> {
  const [sent, received] = [new Int32Array(comm.size), new Int32Array(comm.size)];
  const isSender = comm.rank === from;
  if (isSender) sent[to] = own.length;
  if (into) received[from] = into.length;
  const none = own.subarray(0, 0) as A;
  await comm.allToAllV(isSender ? own : none, sent, into ?? none, received);
}

/** The first of so many pieces of what came that is not what was sent, where it came. */
async function firstChanged(comm: Comm, way: Way, hashes: PieceHashes, pieces: number, own: Float32Array, part: Float32Array | undefined): Promise<number | undefined> {
  const encode = (values: Float32Array): Uint8Array => new TextEncoder().encode(hashes.of(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), pieces));
  const into = part && new Uint8Array(pieces * hashes.digits);
  await send(comm, way, comm.rank === way.from ? encode(own) : new Uint8Array(), into);
  const wrong = into ? encode(part!).findIndex((digit, index) => digit !== into[index]) : -1;
  return wrong === -1 ? undefined : Math.floor(wrong / hashes.digits);
}

function fault(problem: string): XMoEError {
  return new XMoEError('checkpoint', problem, { op: 'save', hint: 'each is with one rank, and travels as it is: nothing was saved; this is a fault of the program or of the machine' });
}
