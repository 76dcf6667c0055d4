// Which entries of the first axes each rank changes where the optimiser is spread over ranks, and numbers of tensors in the order of those ranks. Moments and
// the step itself are optimizer-shards.ts.
import { sizeOf, type ParameterSpec } from '@xmoe/core';

/** Entries of the first axis of what a rank holds. */
export interface Shard {
  readonly spec: ParameterSpec;
  readonly begin: number;
  readonly count: number;
  readonly perEntry: number;
}

/** That of rank `rank` of `size`, alike in number to one. */
export function shardOf(spec: ParameterSpec, { rank, size }: { readonly rank: number; readonly size: number }): Shard {
  const entries = spec.shape[0]!;
  const begin = Math.floor((rank * entries) / size);
  return { spec, begin, count: Math.floor(((rank + 1) * entries) / size) - begin, perEntry: sizeOf(spec.shape.slice(1)) };
}

/** Entries of a tensor from `first` on, of the whole. */
export interface Piece {
  readonly name: string;
  readonly first: number;
  readonly values: Float32Array;
}

/** Tensors cut among ranks: all shards of the first rank, those of the second, … */
export interface ShardOrder {
  /** Numbers of each of the ranks, in their order. */
  readonly lengths: readonly number[];
  /** From tensors that lie one behind the other, into a new array or one of as many numbers. */
  pack(values: Float32Array, into?: Float32Array): Float32Array;
  /** The other way round. */
  unpack(values: Float32Array): Float32Array;
  /** The shards of one rank, as views. */
  cut(rank: number, values: Float32Array): Piece[];
}

/** `ranks`, of `size`, in the order in which their shards are to lie. */
export function createShardOrder(specs: readonly ParameterSpec[], size: number, ranks: readonly number[] = Array.from({ length: size }, (_, rank) => rank)): ShardOrder {
  const shardsOf = (rank: number): Shard[] => specs.map((spec) => shardOf(spec, { rank, size }));
  /** Calls `move` for every shard in order: where it lies in the tensors, where in the order, and how long it is. */
  const forEach = (move: (inTensors: number, inOrder: number, length: number) => void): void => {
    let inOrder = 0;
    for (const rank of ranks) {
      let tensor = 0;
      for (const { spec, begin, count, perEntry } of shardsOf(rank)) {
        move(tensor + begin * perEntry, inOrder, count * perEntry);
        inOrder += count * perEntry;
        tensor += sizeOf(spec.shape);
      }
    }
  };
  return {
    lengths: ranks.map((rank) => shardsOf(rank).reduce((sum, { count, perEntry }) => sum + count * perEntry, 0)),
    pack(values, into = new Float32Array(values.length)) {
      forEach((from, to, length) => into.set(values.subarray(from, from + length), to));
      return into;
    },
    unpack(values) {
      const out = new Float32Array(values.length);
      forEach((to, from, length) => out.set(values.subarray(from, from + length), to));
      return out;
    },
    cut(rank, values) {
      let at = 0;
      return shardsOf(rank).filter(({ count }) => count > 0).map(({ spec: { name, part }, begin, count, perEntry }) => (
        { name, first: (part?.begin ?? 0) + begin, values: values.subarray(at, (at += count * perEntry)) }
      ));
    },
  };
}
