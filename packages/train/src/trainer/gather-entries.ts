// Whole tensors of the host from the parts that ranks hold.
import { XMoEError, type ParameterSpec } from '@xmoe/core';
import type { Comm } from '@xmoe/distributed';

/**
 * The whole tensor, on all ranks of `comm`, which call it together; `own` is this rank's part, none for 0 entries.
 * @throws XMoEError `checkpoint` unless every entry is with one rank, and with one alone
 */
export async function gatherEntries(comm: Comm, name: string, own: Float32Array, { begin, of }: NonNullable<ParameterSpec['part']>, perEntry: number): Promise<Float32Array> {
  const places = new Int32Array(2 * comm.size);
  await comm.allGather(Int32Array.of(begin, own.length / perEntry), places);
  const holders = new Int32Array(of);
  for (let rank = 0; rank < comm.size; rank++) for (let entry = 0; entry < places[2 * rank + 1]!; entry++) holders[places[2 * rank]! + entry]!++;
  const wrong = holders.findIndex((count) => count !== 1);
  if (wrong !== -1) {
    throw new XMoEError('checkpoint', `${holders[wrong]} ranks hold entry ${wrong} of ${of} of ${name}`, { op: 'save', hint: 'each entry is with one rank; this is a fault of the program' });
  }
  const whole = new Float32Array(of * perEntry);
  for (let rank = 0; rank < comm.size; rank++) {
    const [first, count] = [places[2 * rank]!, places[2 * rank + 1]!];
    const part = whole.subarray(first * perEntry, (first + count) * perEntry);
    if (rank === comm.rank) part.set(own);
    await comm.broadcast(part, rank);
  }
  return whole;
}
