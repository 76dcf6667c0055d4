// One optimiser update whose micro-batches are shared out among the ranks of a run: each makes the gradients of its own, all get the sum of what
// they hold, and each changes its own copy of the weights in the same way. The update of one process is update.ts; what ranks are is
// @xmoe/distributed, who has which micro-batch is micro-batch-share.ts, and how gradients become one is gradient-sums.ts.
import { collectTensors, type Tensor } from '@xmoe/core';
import type { RankGroups } from '@xmoe/distributed';
import { createGradientSums, type GradientSums } from './gradient-sums.js';
import { orderOfRanks, roundsOf } from './micro-batch-share.js';
import type { OptimizerShards } from './optimizer-shards.js';
import type { Reduction } from './reduction.js';
import { createStateSums, type StateSums } from './state-sums.js';
import { createBackward, finishUpdate, type Backward, type Carried, type Update, type UpdateOptions, type UpdateRequest, type UpdateResult } from './update.js';

export interface SharedUpdateOptions<Host, Device, Trace> extends UpdateOptions<Host, Device, Trace> {
  readonly ranks: RankGroups;
  /** What of the trained parameters this rank changes; `isSharded`: not all that it holds. */
  readonly shards: OptimizerShards;
  readonly isSharded: boolean;
  readonly reduction: Exclude<Reduction, 'device'>;
}

/** `parts` of what `run` returns are those of this rank's micro-batches; the norm is that of the whole update, the same on all ranks. */
export function createSharedUpdate<Host, Device, Trace>(options: SharedUpdateOptions<Host, Device, Trace>): Update<Host, Trace> {
  const { engine, optimizer, parameters, ranks, shards, reduction } = options;
  const sums = createGradientSums(engine, options.specs, ranks, reduction, options.isSharded);
  const backward = createBackward({ ...options, ...(sums.takeGradient ? { takeGradient: sums.takeGradient } : {}) });
  const computeOwn = createOwnGradients(options, backward, sums);
  const summed: Record<string, Tensor> = Object.fromEntries(shards.specs.map(({ name, shape }) => [name, engine.zeros(shape).keep()]));
  const shapes = new Set<string>();

  return {
    async run(request) {
      const { batches, adamStep, learningRate, lossScale, step } = request;
      ranks.world.note(`step ${step + 1}`);
      backward.prepare(request);
      optimizer.prepare({ learningRate, step: adamStep, lossScale });
      const parts: Parts<Trace> = [];
      try {
        const states = createStateSums(engine, ranks.world);
        await computeOwn(request, parts, states);
        const norm = await sums.finish((name, values) => {
          const own = shards.cut(name, values);
          if (own) summed[name]!.write(own);
        });
        const moved = (options.states ?? []).length > 0 ? await states.overRanks() : null;
        const known = shapes.size;
        for (const batch of batches) shapes.add(options.shapeOf?.(batch) ?? '');
        const { applied, changed } = engine.scope(() => {
          const own = shards.take(parameters);
          return { changed: own, applied: finishUpdate(options, { gradients: summed, sums: moved && moved() }, { norm: norm === null ? undefined : engine.tensor([norm]), own }) };
        });
        await shards.gather(parameters, changed);
        for (const [name, tensor] of Object.entries(changed)) if (tensor !== parameters[name]) tensor.dispose();
        return { parts, order: orderOfRanks(ranks, batches.length, reduction), norm: applied, warmUp: shapes.size > known };
      } catch (error) {
        for (const tensor of collectTensors(parts)) tensor.dispose();
        sums.abandon();
        throw error;
      }
    },
    dispose() {
      backward.dispose();
      for (const tensor of Object.values(summed)) tensor.dispose();
    },
  };
}

type Parts<Trace> = UpdateResult<Trace>['parts'];

/** Runs the rounds of this rank's group: in each a micro-batch of every rank of it, whose experts are computed together. */
function createOwnGradients<Host, Device, Trace>(
  { engine, ranks, reduction }: SharedUpdateOptions<Host, Device, Trace>, backward: Backward<Host, Device, Trace>, gradients: GradientSums,
) {
  /** Of micro-batch `index`, all kept: what is carried on, and the rest. Sums for states are added by `StateSums`, not onto those before. */
  const backwardOf = (request: UpdateRequest<Host>, index: number, before?: Carried): { part: Parts<Trace>[number]; carried: Carried } => {
    const device = backward.upload(request, index);
    return engine.scope(() => {
      const made = backward.run(device, request, before && { ...before, sums: null });
      for (const tensor of collectTensors(made)) tensor.keep();
      return made;
    });
  };
  return async (request: UpdateRequest<Host>, parts: Parts<Trace>, states: StateSums): Promise<void> => {
    gradients.begin(request.batches.length);
    let carried: Carried | undefined;
    for (const { own, terms } of roundsOf(ranks, request.batches.length, reduction)) {
      // A rank without a micro-batch of its own computes the round's last once more, for its experts have work.
      const isIdle = own === null;
      gradients.beginRound(terms);
      const { part, carried: now } = backwardOf(request, own ?? terms.end - 1, isIdle ? undefined : carried);
      if (isIdle) {
        for (const tensor of collectTensors([part, now])) tensor.dispose();
        await gradients.endRound(null);
        continue;
      }
      parts.push(part);
      await states.add(now.sums);
      carried = { gradients: now.gradients, sums: null };
      if (reduction === 'fast') await gradients.endRound(null);
      else {
        await gradients.endRound(carried.gradients);
        carried = undefined;
      }
    }
    await gradients.endOwn(carried?.gradients ?? null);
  };
}
