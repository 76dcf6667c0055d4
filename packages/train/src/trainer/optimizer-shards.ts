// The optimiser spread over ranks (ZeRO-1, Rajbhandari et al. 2020): of what several ranks hold alike, each keeps the moments of one part and changes that
// part; then all get all parts. AdamW goes element by element, so that no bit shows who did it.
import { isTrained, sizeOf, slice, type ParameterSpec, type Parameters, type Tensor } from '@xmoe/core';
import type { Comm, RankGroups } from '@xmoe/distributed';

export interface OptimizerShards {
  /** Of each trained parameter what this rank changes, as a part of the whole. None where there are fewer entries than ranks and this one has none. */
  readonly specs: readonly ParameterSpec[];
  /** Of the values of a parameter as this rank holds it, those that it changes; null for none. */
  cut(name: string, values: Float32Array): Float32Array | null;
  /** What this rank changes, on the device. In a scope. */
  take(parameters: Parameters): Parameters;
  /** Writes what every rank changed into the parameters. Called by all ranks. */
  gather(parameters: Parameters, changed: Parameters): Promise<void>;
}

interface Shard {
  readonly spec: ParameterSpec;
  readonly begin: number;
  readonly count: number;
  readonly perEntry: number;
}

/** Entries of the first axis of each of `size` ranks, alike in number to one. */
function shardOf(spec: ParameterSpec, { rank, size }: Pick<Comm, 'rank' | 'size'>): Shard {
  const entries = spec.shape[0]!;
  const begin = Math.floor((rank * entries) / size);
  return { spec, begin, count: Math.floor(((rank + 1) * entries) / size) - begin, perEntry: sizeOf(spec.shape.slice(1)) };
}

/** The ranks that hold the same as this one. */
const holdersOf = ({ part }: ParameterSpec, { world, data }: RankGroups): Comm => (part ? data : world);

/** Every rank changes all that it holds. */
export function wholeOptimizer(specs: readonly ParameterSpec[]): OptimizerShards {
  return { specs: specs.filter(isTrained), cut: (_, values) => values, take: (parameters) => parameters, gather: async () => undefined };
}

export function createOptimizerShards(specs: readonly ParameterSpec[], ranks: RankGroups): OptimizerShards {
  const trained = specs.filter((spec) => isTrained(spec) && spec.shape.length > 0);
  const own = new Map(trained.map((spec) => [spec.name, shardOf(spec, holdersOf(spec, ranks))]));
  const held = [...own.values()].filter(({ count }) => count > 0);

  /** What the ranks of `comm` changed of `of`: each sends all of its shards at once. */
  const gatherFrom = async (comm: Comm, of: readonly ParameterSpec[], parameters: Parameters, changed: Parameters): Promise<void> => {
    const wholes = of.map(({ shape }) => new Float32Array(sizeOf(shape)));
    const mine = await Promise.all(of.map(async ({ name }) => (own.get(name)!.count > 0 ? changed[name]!.data() : [])));
    for (let rank = 0; rank < comm.size; rank++) {
      const shards = of.map((spec) => shardOf(spec, { rank, size: comm.size }));
      const sent = new Float32Array(shards.reduce((sum, { count, perEntry }) => sum + count * perEntry, 0));
      let at = 0;
      if (rank === comm.rank) for (const values of mine) sent.set(values, (at += values.length) - values.length);
      await comm.broadcast(sent, rank);
      at = 0;
      for (const [index, { begin, count, perEntry }] of shards.entries()) wholes[index]!.set(sent.subarray(at, (at += count * perEntry)), begin * perEntry);
    }
    of.forEach(({ name }, index) => parameters[name]!.write(wholes[index]!));
  };

  return {
    specs: [
      ...held.map(({ spec, begin, count }): ParameterSpec => ({
        ...spec, shape: [count, ...spec.shape.slice(1)], part: { begin: (spec.part?.begin ?? 0) + begin, of: spec.part?.of ?? spec.shape[0]! },
      })),
      ...specs.filter((spec) => isTrained(spec) && spec.shape.length === 0),
    ],
    cut(name, values) {
      const shard = own.get(name);
      if (!shard) return values;
      return shard.count === 0 ? null : values.subarray(shard.begin * shard.perEntry, (shard.begin + shard.count) * shard.perEntry);
    },
    take: (parameters) => ({
      ...parameters,
      ...Object.fromEntries(held.map(({ spec: { name, shape }, begin, count }): [string, Tensor] => [name, slice(parameters[name]!, [begin, ...shape.slice(1).map(() => 0)], [count, ...shape.slice(1)])])),
    }),
    async gather(parameters, changed) {
      await gatherFrom(ranks.world, trained.filter(({ part }) => !part), parameters, changed);
      await gatherFrom(ranks.data, trained.filter(({ part }) => part), parameters, changed);
    },
  };
}
