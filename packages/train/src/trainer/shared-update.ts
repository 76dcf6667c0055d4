// One optimiser update whose micro-batches are shared out among the ranks of a run: each makes the gradients of its own, all get the sums of what
// they change, and each changes its weights in the same way. The update of one process is update.ts; what ranks are is
// @xmoe/distributed, who has which micro-batch is micro-batch-share.ts, and how gradients become one is sums-over-ranks.ts.
import { collectTensors, createReplay, isTrained, type Parameters, type Segment, type Tensor } from '@xmoe/core';
import type { RankGroups } from '@xmoe/distributed';
import { createEarlySums, type EarlySums } from './early-sums.js';
import { createHandOver, createStagedHandOver } from './hand-over.js';
import { orderOfRanks } from './micro-batch-share.js';
import type { OptimizerShards } from './optimizer-shards.js';
import { createGradientsInRounds, createGradientsOnDevice } from './own-gradients.js';
import type { Reduction } from './reduction.js';
import type { Piece } from './shard-order.js';
import { createStateSums } from './state-sums.js';
import { createSumsOverRanks } from './sums-over-ranks.js';
import { finishUpdate, type Update, type UpdateOptions, type UpdateRequest, type UpdateResult } from './update.js';

export interface SharedUpdateOptions<Host, Device, Trace> extends UpdateOptions<Host, Device, Trace> {
  readonly ranks: RankGroups;
  /** What of the trained parameters this rank changes; `isSharded`: not all that it holds. */
  readonly shards: OptimizerShards;
  readonly isSharded: boolean;
  readonly reduction: Exclude<Reduction, 'device'>;
}

/** `parts` of what `run` returns are those of this rank's micro-batches; the norm is that of the whole update, the same on all ranks. */
export function createSharedUpdate<Host, Device, Trace>(options: SharedUpdateOptions<Host, Device, Trace>): Update<Host, Trace> {
  const { engine, optimizer, parameters, ranks, shards, reduction, isSharded } = options;
  const summed: Record<string, Tensor> = Object.fromEntries(shards.specs.map(({ name, shape }) => [name, engine.zeros(shape).keep()]));
  const overRanks = createSumsOverRanks(options.specs, ranks, reduction, isSharded);
  // Where the memory is the host's, the engine adds as the host does, denormal numbers too, and on all its threads.
  const isOnDevice = ranks.experts.size === 1 && (reduction === 'fast' || engine.backend.readSync !== undefined);
  const own = !isOnDevice ? createGradientsInRounds(options, overRanks.order)
    : createGradientsOnDevice(options, isSharded ? createStagedHandOver(engine, overRanks.chunks) : createHandOver(summed));
  const states = createStateSums(engine, ranks.world);
  const step = createStep(options, summed);
  const early = isOnDevice ? createEarly(options, summed) : null;
  const replay = createReplay(engine);
  const shapes = new Set<string>();

  /** What a backend may record is in segments; sums over ranks and what the host does with them is between. */
  const compute = async (request: UpdateRequest<Host>, segment: Segment, parts: UpdateResult<Trace>['parts']): Promise<Tensor> => {
    const { batches } = request;
    states.begin();
    const beside = (await early?.open(batches.length)) ?? null;
    const sums = await own.run(request, { parts, states, early: beside }, segment);
    await beside?.finish();
    const norm = await (beside ? overRanks.normOf(early!.pieces()) : overRanks.finish(batches.length, sums, (name, values) => summed[name]!.write(values)));
    const moved = (options.states ?? []).length > 0 ? await states.overRanks() : null;
    const { applied, changed } = step.run(segment, norm, moved);
    await shards.gather(parameters, changed);
    for (const tensor of Object.values(changed)) tensor.dispose();
    return applied;
  };
  return {
    async run(request) {
      const { batches, adamStep, learningRate, lossScale } = request;
      ranks.world.note(`step ${request.step + 1}`);
      own.prepare(request);
      optimizer.prepare({ learningRate, step: adamStep, lossScale });
      const parts: UpdateResult<Trace>['parts'] = [];
      const known = shapes.size;
      for (const batch of batches) shapes.add(options.shapeOf?.(batch) ?? '');
      try {
        const norm = await replay.run(own.signature(request), (segment) => compute(request, (fn) => segment(() => engine.scope(fn)), parts));
        return { parts, order: orderOfRanks(ranks, batches.length, reduction), norm, warmUp: shapes.size > known };
      } catch (error) {
        for (const tensor of collectTensors(parts)) tensor.dispose();
        throw error;
      } finally {
        own.drop();
      }
    },
    dispose() {
      for (const part of [replay, own, states, step]) part.dispose();
      for (const tensor of Object.values(summed)) tensor.dispose();
    },
  };
}

/** Sums over ranks that begin within the backward pass, where the device's memory is the host's, ranks can send beside a computation, and each has a micro-batch. */
function createEarly<Host, Device, Trace>({ engine: { backend }, specs, ranks: { world }, isSharded, shards }: SharedUpdateOptions<Host, Device, Trace>, summed: Record<string, Tensor>) {
  let early: EarlySums | undefined;
  const view = (name: string): Float32Array => backend.hostView!(summed[name]!);
  return {
    /** For an update of so many micro-batches. Called by all ranks. */
    async open(count: number): Promise<EarlySums | null> {
      if (world.size === 1 || count < world.size || !world.background || !backend.hostView || !backend.between) return null;
      return (early ??= createEarlySums({
        specs: specs.filter(isTrained), comm: await world.background(), isSharded, write: (name, values) => view(name).set(values),
      }));
    },
    pieces: (): Piece[] => shards.specs.map(({ name, part }) => ({ name, values: view(name), first: part?.begin ?? 0 })),
  };
}

/** The end of an update from the sums in `gradients`, a segment. */
function createStep<Host, Device, Trace>(options: SharedUpdateOptions<Host, Device, Trace>, gradients: Record<string, Tensor>) {
  const { engine, parameters, shards } = options;
  const onDevice = engine.zeros([1]).keep();
  return {
    /** `norm` of all gradients, where the host made it; what states move by, in the same tensors each time. What it returns is the caller's to dispose. */
    run(segment: Segment, norm: number | null, sums: Parameters | null): { applied: Tensor; changed: Parameters } {
      if (norm !== null) onDevice.write([norm]);
      return segment(() => {
        const own = shards.take(parameters);
        const applied = finishUpdate(options, { gradients, sums }, { norm: norm === null ? undefined : onDevice, own });
        return { applied, changed: Object.fromEntries(Object.entries(own).filter(([name, tensor]) => tensor !== parameters[name])) };
      });
    },
    dispose: () => onDevice.dispose(),
  };
}
