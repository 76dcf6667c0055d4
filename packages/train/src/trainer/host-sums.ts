// The sums of this rank's gradients on the host, round by round: where experts are spread over ranks, which compute each other's rows within a
// micro-batch, and on backends whose additions might differ from the host's. On the device they are made in shared-update.ts; what other ranks add is sums-over-ranks.ts.
import { isTrained, sizeOf, type ForwardContext, type ParameterSpec, type Tensor } from '@xmoe/core';
import { addTo, createSumByHalves, type Comm, type RankGroups, type RunningSum, type Span } from '@xmoe/distributed';
import { createFlat, type FlatTensors } from './flat-tensors.js';
import { spanOfGroup } from './micro-batch-share.js';
import type { Reduction } from './reduction.js';
import type { ShardOrder } from './shard-order.js';
import type { OwnSums } from './sums-over-ranks.js';
import { hasOwnGradient } from './update.js';

type Gradients = Readonly<Record<string, Tensor>>;

export interface HostSums extends OwnSums {
  /** Of experts on this rank, within a round; absent where each rank has all. */
  readonly takeGradient: ForwardContext['takeGradient'];
  /** A new update of so many micro-batches. */
  begin(count: number): void;
  beginRound(terms: Span): void;
  /** Takes over the gradients of this rank's micro-batch; null: there was none, or it goes on to the next. Called by the whole group. */
  endRound(gradients: Gradients | null): Promise<void>;
  /** Takes over what went from one micro-batch to the next; null: nothing did. */
  endOwn(gradients: Gradients | null): Promise<void>;
}

/** A sum in the order in which terms come. */
function createPlainSum(): RunningSum {
  const held: Float32Array[] = [];
  return {
    add: (term) => void (held.length === 0 ? held.push(term) : addTo(held[0]!, term)),
    result: () => held[0] ?? null,
    held,
  };
}

async function readOut(flat: FlatTensors, gradients: Gradients): Promise<Float32Array> {
  try {
    return await flat.read(gradients);
  } finally {
    for (const tensor of Object.values(gradients)) tensor.dispose();
  }
}

/** @param order of what every rank has, by ranks of the group, where each changes its shards alone. Absent: equal parts */
export function createHostSums(specs: readonly ParameterSpec[], { experts, data }: RankGroups, reduction: Reduction, order?: ShardOrder): HostSums {
  const inOrder = reduction !== 'fast';
  const flat = createFlat(specs.filter(hasOwnGradient));
  const parts = specs.filter((spec) => isTrained(spec) && spec.part);
  const lengths = order ? lengthsOfGroup(order, experts.size) : equalParts(flat.length, experts.size);
  let round: Span = { begin: 0, end: 0 };
  let own: RunningSum = createPlainSum();
  let ofExperts = new Map<string, RunningSum>();
  return {
    takeGradient: parts.length === 0 ? undefined : (name, source, gradient) => {
      if (round.begin + source < round.end) ofExperts.get(name)?.add(gradient.dataSync() as Float32Array);
    },
    begin(microBatches) {
      const span = spanOfGroup(data, microBatches, reduction);
      const createSum = (): RunningSum => (inOrder ? createSumByHalves(span, addTo) : createPlainSum());
      own = createSum();
      ofExperts = new Map(parts.map(({ name }) => [name, createSum()]));
    },
    beginRound(terms) {
      round = terms;
    },
    async endRound(gradients) {
      if (!inOrder) return;
      const values = gradients ? await readOut(flat, gradients) : new Float32Array(flat.length);
      const terms = experts.size === 1 ? [values] : await exchangeParts(experts, order?.pack(values) ?? values, lengths);
      for (const term of terms.slice(0, round.end - round.begin)) own.add(term);
    },
    endOwn: async (gradients) => void (gradients && own.add(await readOut(flat, gradients))),
    dense: async ({ begin, length }) => own.result()?.subarray(begin, begin + length) ?? new Float32Array(length),
    spread: {
      part: () => own.result() ?? new Float32Array(lengths[experts.rank]!),
      ofExperts: ({ name, shape }) => ofExperts.get(name)!.result() ?? new Float32Array(sizeOf(shape)),
    },
  };
}

/** Of each rank of a group: of `order`, whose ranks are those of all groups, one member after another. */
function lengthsOfGroup({ lengths }: ShardOrder, members: number): number[] {
  const groups = lengths.length / members;
  return Array.from({ length: members }, (_, member) => lengths.slice(member * groups, (member + 1) * groups).reduce((sum, length) => sum + length, 0));
}

/** `length` numbers in so many parts, the last ones perhaps shorter or empty. */
export function equalParts(length: number, parts: number): number[] {
  const most = Math.ceil(length / parts);
  return Array.from({ length: parts }, (_, part) => Math.max(0, Math.min(most, length - part * most)));
}

/** The part of this rank of the values of each rank, by rank. */
async function exchangeParts(comm: Comm, values: Float32Array, lengths: readonly number[]): Promise<Float32Array[]> {
  const own = lengths[comm.rank]!;
  const received = new Float32Array(own * comm.size);
  await comm.allToAllV(values, Int32Array.from(lengths), received, new Int32Array(comm.size).fill(own));
  return Array.from({ length: comm.size }, (_, from) => received.slice(from * own, (from + 1) * own));
}
