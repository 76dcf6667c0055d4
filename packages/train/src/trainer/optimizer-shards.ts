// The optimiser spread over ranks (ZeRO-1, Rajbhandari et al. 2020): of what several ranks hold alike, each keeps the moments of one part and changes that
// part; then all get all parts. AdamW goes element by element, so that no bit shows who did it.
import { isTrained, slice, XMoEError, type ParameterSpec, type Parameters, type Tensor } from '@xmoe/core';
import { BUCKET, type Comm, type RankGroups } from '@xmoe/distributed';
import { cutFlat, type FlatTensors } from './flat-tensors.js';
import { createShardOrder, shardOf } from './shard-order.js';

export interface OptimizerShards {
  /** Of each trained parameter what this rank changes, as a part of the whole. None where there are fewer entries than ranks and this one has none. */
  readonly specs: readonly ParameterSpec[];
  /** What this rank changes, on the device. In a scope. */
  take(parameters: Parameters): Parameters;
  /** Writes what every rank changed into the parameters. Called by all ranks. */
  gather(parameters: Parameters, changed: Parameters): Promise<void>;
}

/** The ranks that hold the same as this one. */
const holdersOf = ({ part }: ParameterSpec, { world, data }: RankGroups): Comm => (part ? data : world);

/** Every rank changes all that it holds. */
export function wholeOptimizer(specs: readonly ParameterSpec[]): OptimizerShards {
  return { specs: specs.filter(isTrained), take: (parameters) => parameters, gather: async () => undefined };
}

/** @throws XMoEError `config` for a trained parameter without axes */
export function createOptimizerShards(specs: readonly ParameterSpec[], ranks: RankGroups): OptimizerShards {
  const trained = specs.filter(isTrained);
  const single = trained.find(({ shape }) => shape.length === 0);
  if (single) throw new XMoEError('config', `${single.name} has no axis to cut`, { op: 'sharded optimiser', hint: 'give it the shape [1], or train without shardOptimizer' });
  const own = new Map(trained.map((spec) => [spec.name, shardOf(spec, holdersOf(spec, ranks))]));
  const held = [...own.values()].filter(({ count }) => count > 0);

  /** What the ranks of `comm` changed of some of the parameters: each sends all of its shards at once. */
  const gatherFrom = async (comm: Comm, flat: FlatTensors, parameters: Parameters, changed: Parameters): Promise<void> => {
    const order = createShardOrder(flat.specs, comm.size);
    const all = new Float32Array(flat.length);
    let begin = 0;
    for (const [rank, count] of order.lengths.entries()) {
      const sent = all.subarray(begin, (begin += count));
      if (rank === comm.rank) await Promise.all(order.cut(rank, sent).map(async ({ name, values }) => values.set((await changed[name]!.data()) as Float32Array)));
      await comm.broadcast(sent, rank);
    }
    for (const [name, values] of flat.cut(order.unpack(all))) parameters[name]!.write(values);
  };

  return {
    specs: held.map(({ spec, begin, count }): ParameterSpec => ({
      ...spec, shape: [count, ...spec.shape.slice(1)], part: { begin: (spec.part?.begin ?? 0) + begin, of: spec.part?.of ?? spec.shape[0]! },
    })),
    take: (parameters) => ({
      ...parameters,
      ...Object.fromEntries(held.map(({ spec: { name, shape }, begin, count }): [string, Tensor] => [name, slice(parameters[name]!, [begin, ...shape.slice(1).map(() => 0)], [count, ...shape.slice(1)])])),
    }),
    async gather(parameters, changed) {
      for (const flat of cutFlat(trained.filter(({ part }) => !part), BUCKET)) await gatherFrom(ranks.world, flat, parameters, changed);
      for (const flat of cutFlat(trained.filter(({ part }) => part), BUCKET)) await gatherFrom(ranks.data, flat, parameters, changed);
    },
  };
}
