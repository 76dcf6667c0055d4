// The sums of gradients over the micro-batches of all ranks, of what every rank has and of the experts that only some have, and the norm of all. Where sums
// are `deterministic` they are made in the order of the micro-batches' tree, those over ranks and the norm on the host.
import { isTrained, type ParameterSpec } from '@xmoe/core';
import { BUCKET, reduceInOrder, reducePart, reducePartInOrder, type Comm, type RankGroups } from '@xmoe/distributed';
import { createFlat, cutFlat, type FlatTensors } from './flat-tensors.js';
import { createGradientNorm } from './gradient-norm.js';
import { equalParts } from './host-sums.js';
import type { Reduction } from './reduction.js';
import { createShardOrder, type Piece, type ShardOrder } from './shard-order.js';
import { hasOwnGradient } from './update.js';

/** What this rank's micro-batches add up to, zeros where it had none. What is given is the caller's to change until the next is asked for. */
export interface OwnSums {
  /** Of what every rank has, some tensors; where it is summed in order beside spread experts, `spread` has it. */
  dense(of: FlatTensors): Promise<Float32Array>;
  /** Where experts are over ranks. */
  readonly spread?: {
    /** Of what every rank has, the part of this one in its group. */
    part(): Float32Array;
    /** Of experts of which this rank has a part. */
    ofExperts(spec: ParameterSpec): Float32Array;
  };
}

export interface SumsOverRanks {
  /** In which, and in whose order, what every rank has is asked for of `OwnSums.dense`. */
  readonly chunks: readonly FlatTensors[];
  /** Of what every rank has, by rank of the group and then by group; where experts are over ranks, sums in order, and shards the ranks' own. */
  readonly order: ShardOrder | undefined;
  /**
   * Hands over the sums of so many micro-batches: of all entries that this rank holds, or, where the optimiser is sharded, of those that it changes. Called by all
   * ranks. Returns the norm of all gradients, or null where the device makes it.
   */
  finish(count: number, own: OwnSums, write: (name: string, values: Float32Array) => void): Promise<number | null>;
  /** The norm of sums that are where they go. */
  normOf(sums: Iterable<Piece>): Promise<number | null>;
}

async function reduceFast(comm: Comm, values: Float32Array): Promise<void> {
  if (comm.size === 1) return;
  for (let from = 0; from < values.length; from += BUCKET) await comm.allReduce(values.subarray(from, from + BUCKET), 'sum');
}

export function createSumsOverRanks(specs: readonly ParameterSpec[], ranks: RankGroups, reduction: Reduction, isSharded: boolean): SumsOverRanks {
  const { world, experts, data } = ranks;
  const inOrder = reduction !== 'fast';
  const trained = specs.filter(isTrained);
  const dense = trained.filter(hasOwnGradient);
  const parts = trained.filter(({ part }) => part);
  const chunks = cutFlat(dense, BUCKET);
  const byMember = isSharded && inOrder && experts.size > 1 ? createShardOrder(dense, world.size, membersFirst(ranks)) : undefined;
  const isNormed = inOrder || isSharded || parts.length > 0;

  async function* sumsOf(count: number, own: OwnSums): AsyncGenerator<Piece> {
    const part = async (comm: Comm, values: Float32Array, lengths: readonly number[]): Promise<Float32Array> => (inOrder ? reducePartInOrder(comm, values, lengths, count) : reducePart(comm, values, lengths));
    const whole = async (comm: Comm, values: Float32Array): Promise<Float32Array> => (await (inOrder ? reduceInOrder(comm, values, count) : reduceFast(comm, values)), values);
    const all = (flat: FlatTensors, values: Float32Array): Piece[] => flat.cut(values).map(([name, of], index) => ({ name, values: of, first: flat.specs[index]!.part?.begin ?? 0 }));
    const shards = async (comm: Comm, flat: FlatTensors, values: Float32Array): Promise<Piece[]> => {
      const order = createShardOrder(flat.specs, comm.size);
      return order.cut(comm.rank, await part(comm, order.pack(values), order.lengths));
    };
    if (byMember) yield* byMember.cut(world.rank, await part(data, own.spread!.part(), byMember.lengths.slice(experts.rank * data.size, (experts.rank + 1) * data.size)));
    else if (inOrder && experts.size > 1) {
      const flat = createFlat(dense);
      yield* all(flat, await gatherParts(experts, await whole(data, own.spread!.part()), flat.length));
    } else for (const chunk of chunks) yield* isSharded ? await shards(world, chunk, await own.dense(chunk)) : all(chunk, await whole(world, await own.dense(chunk)));
    for (const spec of parts) {
      const flat = createFlat([spec]);
      yield* isSharded ? await shards(data, flat, own.spread!.ofExperts(spec)) : all(flat, await whole(data, own.spread!.ofExperts(spec)));
    }
  }

  const normOf = async (sums: AsyncIterable<Piece> | Iterable<Piece>, write?: (name: string, values: Float32Array) => void): Promise<number | null> => {
    const norm = isNormed ? createGradientNorm(trained) : null;
    for await (const { name, values, first } of sums) {
      norm?.add(name, values, first);
      write?.(name, values);
    }
    return norm && (isSharded ? norm.result(world, () => true) : norm.result(experts, ({ part }) => part !== undefined));
  };
  return {
    chunks,
    order: byMember,
    finish: async (count, own, write) => (!isNormed && world.size === 1 ? null : normOf(sumsOf(count, own), write)), // else they are on the device already
    normOf,
  };
}

/** The first member of each group, the second of each, … */
function membersFirst({ experts, data }: RankGroups): number[] {
  return Array.from({ length: experts.size * data.size }, (_, index) => (index % data.size) * experts.size + Math.floor(index / data.size));
}

/** The first `length` numbers of the parts of all ranks, one behind the other. */
async function gatherParts(comm: Comm, part: Float32Array, length: number): Promise<Float32Array> {
  const most = equalParts(length, comm.size)[0]!;
  const padded = new Float32Array(most);
  padded.set(part);
  const all = new Float32Array(most * comm.size);
  await comm.allGather(padded, all);
  return all.subarray(0, length);
}
