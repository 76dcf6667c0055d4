// A Comm that counts what goes through another one: bytes by kind, calls, and how long each took on this rank. It changes nothing.
import type { BackgroundComm, Comm, CommArray, RankGroups } from '@xmoe/distributed';

/** What travels in a step. */
export const KINDS = ['gradients', 'parameters', 'claims', 'results', 'counts', 'figures'] as const;
export type Kind = (typeof KINDS)[number];

/** One collective of this rank. */
export interface Call {
  readonly kind: Kind;
  /** What this rank sends to others, by the algorithm that sends least: a sum or a gathering of n bytes over W ranks takes n·(W − 1)/W each. */
  readonly bytes: number;
  /** From the call to its end, waiting for other ranks included. */
  readonly milliseconds: number;
}

export interface CallLog {
  /** Calls since the last `clear`, in their order. */
  readonly calls: Call[];
  clear(): void;
}

export function createCallLog(): CallLog {
  const calls: Call[] = [];
  return { calls, clear: () => void (calls.length = 0) };
}

/**
 * What a tensor of the world or of a data group is, its call shows: sums are of gradients, what one rank has for all are parameters. Numbers that are
 * no float32 are figures (norms, losses, what ranks agree on).
 */
const kindOf = (values: CommArray, kind: Kind): Kind => (values instanceof Float32Array ? kind : 'figures');

/** What goes beside a computation is one call, as long as it is waited for in the end. */
function countedBackground(comm: BackgroundComm, log: CallLog): BackgroundComm {
  const { rank, size } = comm;
  let [bytes, waited] = [0, 0];
  return {
    rank,
    size,
    exchange(tag, sends, receives) {
      for (const [to, values] of sends.entries()) bytes += to === rank ? 0 : values.byteLength;
      return comm.exchange(tag, sends, receives);
    },
    async finish(isDone) {
      const started = performance.now();
      await comm.finish(isDone);
      log.calls.push({ kind: 'gradients', bytes, milliseconds: waited + performance.now() - started });
      [bytes, waited] = [0, 0];
    },
    finishNow(isDone) {
      const started = performance.now();
      comm.finishNow(isDone);
      waited += performance.now() - started;
    },
  };
}

/** @param beside whether anything may travel beside a computation */
function counted(comm: Comm, log: CallLog, beside: boolean): Comm {
  const { size, rank } = comm;
  const time = async (kind: Kind, bytes: number, done: Promise<void>): Promise<void> => {
    const started = performance.now();
    await done;
    log.calls.push({ kind, bytes, milliseconds: performance.now() - started });
  };
  const sentTo = (counts: Int32Array, values: CommArray): number => (values.length - counts[rank]!) * values.BYTES_PER_ELEMENT;
  let isBack = false; // rows go to experts and come back, always in turn
  return {
    rank,
    size,
    allReduce: (values, operation) => time(kindOf(values, 'gradients'), (2 * (size - 1) * values.byteLength) / size, comm.allReduce(values, operation)),
    reduceScatter: (send, receive, operation) => time(kindOf(send, 'gradients'), (size - 1) * receive.byteLength, comm.reduceScatter(send, receive, operation)),
    allGather: (send, receive) => time(kindOf(send, 'gradients'), ((size - 1) * receive.byteLength) / size, comm.allGather(send, receive)),
    allToAllV: (send, sendCounts, receive, receiveCounts) => time(kindOf(send, 'gradients'), sentTo(sendCounts, send), comm.allToAllV(send, sendCounts, receive, receiveCounts)),
    allToAllVNow(send, sendCounts, receive, receiveCounts) {
      const isRows = !(send instanceof Int32Array);
      const kind = isRows ? (isBack ? 'results' : 'claims') : 'counts';
      if (isRows) isBack = !isBack;
      const started = performance.now();
      comm.allToAllVNow(send, sendCounts, receive, receiveCounts);
      log.calls.push({ kind, bytes: sentTo(sendCounts, send), milliseconds: performance.now() - started });
    },
    broadcast: (values, root) => time(kindOf(values, 'parameters'), root === rank ? (size - 1) * values.byteLength : 0, comm.broadcast(values, root)),
    barrier: () => comm.barrier(),
    split: (color, key) => comm.split(color, key),
    abort: (code) => comm.abort(code),
    note: (place) => comm.note(place),
    unhurried: (work) => comm.unhurried(work),
    ...(beside && comm.background ? { background: async () => countedBackground(await comm.background!(), log) } : {}),
    close: () => comm.close(),
  };
}

/** The groups with all that goes through them counted. @param beside whether anything may travel beside a computation */
export function countedGroups({ world, experts, data }: RankGroups, log: CallLog, beside: boolean): RankGroups {
  const own = counted(world, log, beside);
  return { world: own, experts: experts.size === 1 ? experts : counted(experts, log, beside), data: data === world ? own : counted(data, log, beside) };
}
