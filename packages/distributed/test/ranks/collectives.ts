// A rank that tries every collective and prints what came out, as one line of JSON. Started by a launcher; no test file of its own.
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { byFirst, createBackgroundSums, fromFirst, gatherValues, reduceInOrder, reducePart, reducePartInOrder, requireSame, shareOf, sumByHalves } from '../../src/index.js';
import { openComm } from '../../src/node.js';
import { termOf } from './terms.js';

const { comm, launched, description } = openComm();
const { rank, size } = comm;
const messageOf = async (work: () => Promise<unknown>): Promise<string> => work().then(() => 'no error', (error: Error) => error.message);

async function collectives(): Promise<Record<string, unknown>> {
  const sum = Float32Array.from({ length: 1000 }, (_, index) => rank + index);
  await comm.allReduce(sum, 'sum');
  const window = new Int32Array(10).fill(-1);
  await comm.allReduce(window.subarray(3, 5).fill(rank), 'max');
  const shared = new Float64Array(new SharedArrayBuffer(16)).fill(rank + 0.5);
  await comm.allReduce(shared, 'min');
  const part = new Float32Array(2);
  await comm.reduceScatter(Float32Array.from({ length: 2 * size }, (_, index) => index + rank), part, 'sum');
  const gathered = new Uint8Array(2 * size);
  await comm.allGather(Uint8Array.of(rank, 100 + rank), gathered);
  const sent = Float32Array.from({ length: 3 }, (_, index) => 10 * rank + index);
  await comm.broadcast(sent, size - 1);
  return { sum: [sum[0], sum[999]], window: [...window], shared: [...shared], part: [...part], gathered: [...gathered], sent: [...sent] };
}

/** Rank r sends r + d numbers to rank d: none from 0 to 0. */
async function exchange(): Promise<number[]> {
  const sendCounts = Int32Array.from({ length: size }, (_, to) => rank + to);
  const receiveCounts = new Int32Array(size);
  const ones = new Int32Array(size).fill(1);
  await comm.allToAllV(sendCounts, ones, receiveCounts, ones);
  const send = Float32Array.from([...sendCounts].flatMap((count, to) => new Array<number>(count).fill(100 * rank + to)));
  const receive = new Float32Array(receiveCounts.reduce((total, count) => total + count, 0));
  await comm.allToAllV(send, sendCounts, receive, receiveCounts);
  return [...receive];
}

/** Sums beside a computation, which here is collectives: of as many numbers as may be under way, and more. */
async function besides(): Promise<boolean[]> {
  const lengths = [3000, 7, 0, 250_000, 1000];
  const partsOf = (length: number): number[] => Array.from({ length: size }, (_, part) => Math.floor(((part + 1) * length) / size) - Math.floor((part * length) / size));
  const sums = createBackgroundSums(await comm.background!(), { most: 5000 });
  const made: Float32Array[] = [];
  for (const [index, length] of lengths.entries()) {
    sums.begin(termOf(rank, length), partsOf(length), (sum) => (made[index] = sum));
    if (index % 2 === rank % 2) await sleep(5);
    await comm.allReduce(Float32Array.of(1), 'sum');
    sums.poll();
  }
  await sums.finish();
  return Promise.all(lengths.map(async (length, index) => {
    const expected = termOf(rank, length);
    await reduceInOrder(comm, expected, size);
    return expected.length === length && expected.every((value, at) => value === made[index]![at]);
  }));
}

async function besideRefusals(): Promise<string[]> {
  const background = await comm.background!();
  const arrays = (lengths: readonly number[]): Float32Array[] => lengths.map((length) => new Float32Array(length));
  const one = arrays(new Array<number>(size).fill(1));
  return Promise.all([
    messageOf(async () => background.exchange(2 ** 15, one, one)),
    messageOf(async () => background.exchange(0, one.slice(1), one)),
    messageOf(async () => background.exchange(0, one, [...one.slice(1), new Int32Array(1) as never])),
    messageOf(async () => background.exchange(0, one, arrays(new Array<number>(size).fill(2)))),
  ]);
}

async function groups(): Promise<number[]> {
  const half = await comm.split(rank % 2, -rank);
  const ranks = new Int32Array(half.size);
  // Both at once: they run one after the other, on all ranks in this order.
  const [, all] = await Promise.all([half.allGather(Int32Array.of(rank), ranks), gatherValues(comm, { rank })]);
  return [half.rank, ...ranks, all.length];
}

async function refusals(): Promise<string[]> {
  const counts = new Int32Array(size).fill(1);
  return [
    await messageOf(() => comm.broadcast(new Float32Array(1), size)),
    await messageOf(() => comm.allGather(new Float32Array(2), new Float32Array(2 * size + 1))),
    await messageOf(() => comm.allToAllV(new Float32Array(size), counts.map((count, to) => (to === 0 ? -count : count)), new Float32Array(size), counts)),
    await messageOf(() => comm.allToAllV(new Float32Array(size), counts, new Float32Array(size + 1), counts)),
    // What only all of them together can see. Rank 1 is at another length, another call, or counts what nobody sends.
    await messageOf(() => comm.allReduce(new Float32Array(rank === 1 ? 5 : 4), 'sum')),
    await messageOf(() => (rank === 1 ? comm.barrier() : comm.broadcast(new Float32Array(4), 0))),
    await messageOf(() => comm.allToAllV(new Float32Array(size), counts, new Float32Array(rank === 1 ? size + 1 : size), counts.map((count, from) => (rank === 1 && from === 0 ? 2 : count)))),
    await messageOf(() => requireSame(comm, { version: '1', backend: rank === size - 1 ? 'cpu:plain' : 'cpu:wasm' }, 'use one backend')),
    await messageOf(() => byFirst(comm, async () => { throw new Error('no space'); })),
  ];
}

/** A sum over 6 terms of very different sizes: the hash of its bits. */
async function ordered(): Promise<string> {
  const [terms, length] = [6, 1003];
  const sum = (await sumByHalves(shareOf(terms, size, rank), async (term) => termOf(term, length))) ?? new Float32Array(length).fill(NaN);
  await reduceInOrder(comm, sum, terms, 300);
  return createHash('sha256').update(sum).digest('hex');
}

/** Parts of sums, of ragged lengths and in pieces: whether this rank's are the bits of the whole sum, and the numbers that MPI adds. */
async function parts(): Promise<[boolean, boolean]> {
  const [terms, length] = [6, 1003];
  const lengths = Array.from({ length: size }, (_, of) => (of === 0 ? 3 : of === 1 ? 1000 : 0));
  const begin = rank === 1 ? 3 : 0;
  const own = async (): Promise<Float32Array> => (await sumByHalves(shareOf(terms, size, rank), async (term) => termOf(term, length)))!;
  const whole = await own();
  await reduceInOrder(comm, whole, terms);
  const inOrder = await reducePartInOrder(comm, await own(), lengths, terms, 300);
  const fast = await reducePart(comm, Float32Array.from({ length }, (_, index) => index), lengths, 300);
  const isSame = (part: Float32Array, value: (index: number) => number): boolean => part.length === lengths[rank] && part.every((of, index) => of === value(index));
  return [isSame(inOrder, (index) => whole[begin + index]!), isSame(fast, (index) => size * (begin + index))];
}

/** While one rank is late, the others' timers run, and garbage is collected under what is in flight. */
async function late(): Promise<number> {
  let ticks = 0;
  const timer = setInterval(() => {
    ticks++;
    globalThis.gc?.();
  }, 10);
  if (rank === 1) await sleep(300);
  await comm.allReduce(Float32Array.of(1), 'sum');
  clearInterval(timer);
  return ticks;
}

const result = {
  description, localSize: launched?.localSize, ...(await collectives()), exchange: await exchange(), groups: await groups(), refusals: await refusals(), ordered: await ordered(), parts: await parts(), besides: await besides(), besideRefusals: await besideRefusals(),
  first: await fromFirst(comm, { from: rank }), ticks: await late(),
};
const all = await gatherValues(comm, result);
if (rank === 0) process.stdout.write(`${JSON.stringify(all)}\n`);
await comm.close();
