// Ranks of a run as objects of one process, for tests of what is done with a Comm: no MPI, no processes. Collectives copy between arrays; a rank
// that is at another call than the others fails all.
import type { BackgroundComm, Comm, CommArray, ReduceOperation } from '@xmoe/distributed';

type Call = { readonly name: string; readonly send?: CommArray; readonly receive?: CommArray; readonly sendCounts?: Int32Array; readonly detail?: number | ReduceOperation };

/** The calls of all ranks, once all are there. */
interface Meeting {
  readonly calls: (Call | undefined)[];
  readonly done: Promise<void>;
  end(error?: Error): void;
}

export interface CommTeamOptions {
  /** Default true: ranks can send beside a computation. */
  readonly background?: boolean;
}

/** `size` ranks; each is used by its own asynchronous function. */
export function createCommTeam(size: number, { background = true }: CommTeamOptions = {}): Comm[] {
  const meetings: Meeting[] = [];
  const meet = (rank: number, number: number, call: Call): Promise<void> => {
    const meeting = (meetings[number] ??= createMeeting(size));
    meeting.calls[rank] = call;
    if (meeting.calls.every((other) => other !== undefined)) {
      const calls = meeting.calls as Call[];
      const other = calls.findIndex(({ name, detail }) => name !== calls[0]!.name || detail !== calls[0]!.detail);
      if (other === -1) transfer(calls);
      meeting.end(other === -1 ? undefined : new Error(`rank 0 is at ${calls[0]!.name}, rank ${other} at ${calls[other]!.name}`));
    }
    return meeting.done;
  };
  const between = background ? createBackgrounds(size) : null;
  return Array.from({ length: size }, (_, rank) => createRank(rank, size, meet, between?.[rank]));
}

function createMeeting(size: number): Meeting {
  let end!: Meeting['end'];
  const done = new Promise<void>((resolve, reject) => {
    end = (error) => (error ? reject(error) : resolve());
  });
  return { calls: new Array<Call | undefined>(size).fill(undefined), done, end };
}

function createRank(rank: number, size: number, meet: (rank: number, number: number, call: Call) => Promise<void>, background: BackgroundComm | undefined): Comm {
  let number = 0;
  const call = (name: string, rest: Omit<Call, 'name'> = {}): Promise<void> => meet(rank, number++, { name, ...rest });
  return {
    rank,
    size,
    allReduce: (values, detail) => call('allReduce', { send: values, detail }),
    reduceScatter: (send, receive, detail) => call('reduceScatter', { send, receive, detail }),
    allGather: (send, receive) => call('allGather', { send, receive }),
    allToAllV: (send, sendCounts, receive) => call('allToAllV', { send, sendCounts, receive }),
    allToAllVNow: () => {
      throw new Error('a team has one thread, which cannot wait');
    },
    broadcast: (values, detail) => call('broadcast', { send: values, detail }),
    barrier: () => call('barrier'),
    split: () => Promise.reject(new Error('a team has no groups')),
    abort: (code) => {
      throw new Error(`aborted with ${code}`);
    },
    note: () => undefined,
    unhurried: (work) => work(),
    ...(background ? { background: async () => (await call('background'), background) } : {}),
    close: () => call('close'),
  };
}

/** Messages between arrays: an exchange is over when all ranks have begun it, and shows that only to the second question. */
function createBackgrounds(size: number): BackgroundComm[] {
  type Side = { readonly sends: readonly Float32Array[]; readonly receives: readonly Float32Array[]; questions: number };
  const begun = new Map<number, (Side | undefined)[]>();
  return Array.from({ length: size }, (_, rank) => ({
    rank,
    size,
    exchange(tag, sends, receives) {
      const sides = begun.get(tag) ?? new Array<Side | undefined>(size).fill(undefined);
      if (sides[rank]) throw new Error(`rank ${rank} began exchange ${tag} twice`);
      const own: Side = (sides[rank] = { sends, receives, questions: 0 });
      begun.set(tag, sides);
      if (sides.every((side) => side !== undefined)) {
        begun.delete(tag);
        const sent = sides.map((side) => side.sends.map((values) => values.slice()));
        for (const [to, side] of sides.entries()) for (const [from, values] of side.receives.entries()) fill(values, sent[from]![to]!);
      }
      return { isDone: () => !begun.get(tag)?.includes(own) && ++own.questions > 1 };
    },
    async finish(isDone) {
      while (!isDone()) await new Promise((resolve) => void setTimeout(resolve));
    },
    finishNow: () => {
      throw new Error('a team has one thread, which cannot wait');
    },
  }));
}

function fill(into: Float32Array, values: Float32Array): void {
  if (into.length !== values.length) throw new Error(`${values.length} numbers are sent, ${into.length} expected`);
  into.set(values);
}

const COMBINE: Record<ReduceOperation, (a: number, b: number) => number> = { sum: (a, b) => a + b, max: Math.max, min: Math.min };

function transfer(calls: readonly Call[]): void {
  const { name, detail } = calls[0]!;
  const sent = calls.map(({ send }) => send?.slice());
  if (name === 'allReduce' || name === 'reduceScatter') {
    const combine = COMBINE[detail as ReduceOperation];
    for (const other of sent.slice(1)) sent[0]!.forEach((value, index) => (sent[0]![index] = combine(value, other![index]!)));
  }
  for (const [rank, { send, receive }] of calls.entries()) {
    if (name === 'allReduce') send!.set(sent[0]!);
    else if (name === 'reduceScatter') receive!.set(sent[0]!.subarray(rank * receive!.length, (rank + 1) * receive!.length));
    else if (name === 'broadcast') send!.set(sent[detail as number]!);
    else if (name === 'allGather') sent.forEach((part, from) => receive!.set(part!, from * part!.length));
    else if (name === 'allToAllV') receive!.set(sent.flatMap((part, from) => [...partFor(part!, calls[from]!.sendCounts!, rank)]));
  }
}

function partFor(sent: CommArray, counts: Int32Array, rank: number): CommArray {
  const begin = counts.subarray(0, rank).reduce((sum, count) => sum + count, 0);
  return sent.subarray(begin, begin + counts[rank]!);
}
