// Ranks of a run as threads of one process, for tests of what waits in the middle of a computation: no MPI, no processes. Every collective is made
// of one, in which each rank of a group leaves what it has in shared memory and reads that of the others.
import type { Comm, CommArray, ReduceOperation } from '@xmoe/distributed';

/** Shared by the threads; plain data, for `workerData`. */
export interface ThreadTeam {
  readonly size: number;
  readonly barriers: SharedArrayBuffer;
  readonly mailboxes: SharedArrayBuffer;
}

const MOST_RANKS = 8;
const [ARRIVED, ROUND] = [0, 1];
const HEADER = 8;

/** @param mailboxBytes the most that one rank sends at once */
export function createThreadTeam(size: number, mailboxBytes = 2 ** 22): ThreadTeam {
  if (size > MOST_RANKS) throw new Error(`a team has at most ${MOST_RANKS} threads`);
  return { size, barriers: new SharedArrayBuffer(2 ** MOST_RANKS * 8), mailboxes: new SharedArrayBuffer(size * mailboxBytes) };
}

const OPERATIONS = ['allReduce', 'reduceScatter', 'allGather', 'allToAllV', 'broadcast', 'barrier', 'split', 'close'] as const;
type Operation = (typeof OPERATIONS)[number];

const COMBINE: Record<ReduceOperation, (a: number, b: number) => number> = { sum: (a, b) => a + b, max: Math.max, min: Math.min };

const bytesOf = (values: CommArray): Uint8Array => new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

/** An array of the kind of `like` over a copy of `bytes`. */
function arrayOf<A extends CommArray>(like: A, bytes: Uint8Array): A {
  return new (like.constructor as new (buffer: ArrayBuffer) => A)(bytes.slice().buffer);
}

/** What each rank of a group brought to a call, by rank. */
type Share = (operation: Operation, own: Uint8Array) => Uint8Array[];

function createShare(team: ThreadTeam, teamRank: number, members: readonly number[]): Share {
  const mailboxBytes = team.mailboxes.byteLength / team.size;
  const barrier = new Int32Array(team.barriers, members.reduce((mask, member) => mask | (1 << member), 0) * 8, 2);
  const meet = (): void => {
    const round = Atomics.load(barrier, ROUND);
    if (Atomics.add(barrier, ARRIVED, 1) === members.length - 1) {
      Atomics.store(barrier, ARRIVED, 0);
      Atomics.add(barrier, ROUND, 1);
      Atomics.notify(barrier, ROUND);
    }
    // The notice of one round may come to who waits for the next.
    while (Atomics.load(barrier, ROUND) === round) {
      if (Atomics.wait(barrier, ROUND, round, 120_000) === 'timed-out') throw new Error(`rank ${teamRank} waited too long for the others`);
    }
  };
  return (operation, own) => {
    if (own.length + HEADER > mailboxBytes) throw new Error(`${own.length} bytes do not fit into a mailbox`);
    new Int32Array(team.mailboxes, teamRank * mailboxBytes, 2).set([own.length, OPERATIONS.indexOf(operation)]);
    new Uint8Array(team.mailboxes, teamRank * mailboxBytes + HEADER).set(own);
    meet();
    const all = members.map((member) => {
      const [length, other] = new Int32Array(team.mailboxes, member * mailboxBytes, 2) as unknown as [number, number];
      if (OPERATIONS[other] !== operation) throw new Error(`rank ${teamRank} is at ${operation}, another at ${OPERATIONS[other]}`);
      return new Uint8Array(team.mailboxes, member * mailboxBytes + HEADER, length).slice();
    });
    meet();
    return all;
  };
}

/** The rank of the calling thread; `members` are ranks of the team. */
export function createThreadComm(team: ThreadTeam, teamRank: number, members: readonly number[] = Array.from({ length: team.size }, (_, rank) => rank)): Comm {
  const rank = members.indexOf(teamRank);
  const share = createShare(team, teamRank, members);
  const gather = <A extends CommArray>(operation: Operation, values: A): A[] => share(operation, bytesOf(values)).map((bytes) => arrayOf(values, bytes));
  const reduce = <A extends CommArray>(operation: Operation, values: A, reduction: ReduceOperation): A => {
    const [sum, ...others] = gather(operation, values);
    for (const other of others) for (let index = 0; index < sum!.length; index++) sum![index] = COMBINE[reduction](sum![index]!, other[index]!);
    return sum!;
  };
  const exchange = <A extends CommArray>(send: A, sendCounts: Int32Array, receive: A, receiveCounts: Int32Array): void => {
    const counts = gather('allToAllV', sendCounts);
    let at = 0;
    for (const [from, values] of gather('allToAllV', send).entries()) {
      const begin = counts[from]!.subarray(0, rank).reduce((sum, count) => sum + count, 0);
      if (counts[from]![rank] !== receiveCounts[from]) throw new Error(`rank ${from} sends ${counts[from]![rank]} numbers to rank ${rank}, which expects ${receiveCounts[from]}`);
      receive.set(values.subarray(begin, begin + counts[from]![rank]!), at);
      at += receiveCounts[from]!;
    }
  };
  const split: Comm['split'] = async (color, key = rank) => {
    const all = gather('split', Int32Array.of(color, key)).map(([theirs, order], index) => ({ theirs, order: order!, member: members[index]! }));
    const chosen = all.filter(({ theirs }) => theirs === color).sort((a, b) => a.order - b.order || a.member - b.member);
    return createThreadComm(team, teamRank, chosen.map(({ member }) => member));
  };
  return {
    rank,
    size: members.length,
    allReduce: async (values, operation) => values.set(reduce('allReduce', values, operation)),
    reduceScatter: async (send, receive, operation) => receive.set(reduce('reduceScatter', send, operation).subarray(rank * receive.length, (rank + 1) * receive.length)),
    allGather: async (send, receive) => gather('allGather', send).forEach((part, from) => receive.set(part, from * part.length)),
    allToAllV: async (...sides) => exchange(...sides),
    allToAllVNow: exchange,
    broadcast: async (values, root) => values.set(gather('broadcast', values)[root]!),
    barrier: async () => void share('barrier', new Uint8Array()),
    split,
    abort: (code) => process.exit(code),
    note: () => undefined,
    unhurried: (work) => work(),
    close: async () => void share('close', new Uint8Array()),
  };
}
