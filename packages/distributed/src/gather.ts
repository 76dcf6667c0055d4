// What ranks tell each other that is no tensor: small values as JSON, and texts that must be the same everywhere.
import { XMoEError } from '@xmoe/core';
import type { Comm } from './comm.js';

/** The `value` of every rank, by rank, on all of them. What JSON does not hold, does not arrive. */
export async function gatherValues<Value>(comm: Comm, value: Value): Promise<Value[]> {
  const bytes = new TextEncoder().encode(JSON.stringify(value));
  const lengths = new Int32Array(comm.size);
  await comm.allGather(Int32Array.of(bytes.length), lengths);
  const longest = lengths.reduce((most, length) => Math.max(most, length), 0);
  const own = new Uint8Array(longest);
  own.set(bytes);
  const all = new Uint8Array(longest * comm.size);
  await comm.allGather(own, all);
  const decoder = new TextDecoder();
  return Array.from(lengths, (length, rank) => JSON.parse(decoder.decode(all.subarray(rank * longest, rank * longest + length))) as Value);
}

/** Whether any rank says so, for a decision in the middle of a computation: the thread waits. Called by all ranks. */
export function anyNow(comm: Comm, says: boolean): boolean {
  if (comm.size === 1) return says;
  const one = new Int32Array(comm.size).fill(1);
  const said = new Int32Array(comm.size);
  comm.allToAllVNow(new Int32Array(comm.size).fill(says ? 1 : 0), one, said, one);
  return said.includes(1);
}

/** The `value` of rank 0 on all ranks. */
export async function fromFirst<Value>(comm: Comm, value: Value): Promise<Value> {
  return (await gatherValues(comm, comm.rank === 0 ? value : null))[0] as Value;
}

/**
 * Rank 0 does `work` while the others wait as long as it takes.
 * @throws XMoEError on all ranks, when it fails on the first
 */
export async function byFirst<Result>(comm: Comm, work: () => Promise<Result>): Promise<Result | undefined> {
  return comm.unhurried(async () => {
    let result: Result | undefined;
    let failure: unknown;
    if (comm.rank === 0) {
      try {
        result = await work();
      } catch (error) {
        failure = error ?? new Error('failed');
      }
    }
    const failed = Int32Array.of(failure === undefined ? 0 : 1);
    await comm.allReduce(failed, 'max');
    if (failure !== undefined) throw failure;
    if (failed[0] === 1) throw new XMoEError('interrupted', 'rank 0 failed', { hint: 'its own message says why' });
    return result;
  });
}

/**
 * Refuses to go on unless `facts` are the same on all ranks.
 * @throws XMoEError `config` that names the first rank that differs from rank 0, and in what
 */
export async function requireSame(comm: Comm, facts: Readonly<Record<string, string>>, hint: string): Promise<void> {
  const all = await gatherValues(comm, facts);
  const [first] = all;
  for (const [rank, other] of all.entries()) {
    const name = [...new Set([...Object.keys(first!), ...Object.keys(other)])].find((key) => first![key] !== other[key]);
    if (name !== undefined) throw new XMoEError('config', `ranks differ in ${name}: ${first![name] ?? 'none'} on rank 0, ${other[name] ?? 'none'} on rank ${rank}`, { hint });
  }
}
