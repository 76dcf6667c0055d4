// One optimiser update whose micro-batches are shared out among the ranks of a run: each makes the gradients of its own, all get the sum, and each
// changes its own copy of the weights in the same way. The update of one process is update.ts; what ranks are is @xmoe/distributed.
import { collectTensors, isTrained, sizeOf, type ParameterSpec, type Tensor } from '@xmoe/core';
import { reduceInOrder, shareOf, sumByHalves, type Comm, type Span } from '@xmoe/distributed';
import { createStateSums, type StateSums } from './state-sums.js';
import { createBackward, finishUpdate, type Backward, type Carried, type Update, type UpdateOptions, type UpdateRequest, type UpdateResult } from './update.js';

/**
 * How the gradients of the micro-batches of an update become one. `device`: on the device, one after another, in a run of one process.
 * `deterministic`: in an order that does not depend on the number of ranks, and so neither do the bits. `fast`: each rank on its device, then
 * by MPI's own reduction.
 */
export type Reduction = 'device' | 'deterministic' | 'fast';

type SharedReduction = Exclude<Reduction, 'device'>;

export interface SharedUpdateOptions<Host, Device, Trace> extends UpdateOptions<Host, Device, Trace> {
  readonly comm: Comm;
  readonly reduction: SharedReduction;
}

/** Numbers that one call of MPI's reduction takes. */
const BUCKET = 2 ** 22;

/** The micro-batches of a rank. Consecutive ones, so that what is gathered by rank is in their order. */
function microBatchesOf({ rank, size }: Pick<Comm, 'rank' | 'size'>, count: number, reduction: SharedReduction): Span {
  if (reduction === 'deterministic') return shareOf(count, size, rank);
  return { begin: Math.floor((rank * count) / size), end: Math.floor(((rank + 1) * count) / size) };
}

/** Of so many ranks the one with the most has so many of `count`. */
export const mostMicroBatches = (size: number, count: number): number => Math.ceil(count / size);

/** `parts` of what `run` returns are those of this rank's micro-batches; the norm is that of the whole update, the same on all ranks. */
export function createSharedUpdate<Host, Device, Trace>(options: SharedUpdateOptions<Host, Device, Trace>): Update<Host, Trace> {
  const { engine, optimizer, comm, reduction } = options;
  const backward = createBackward(options);
  const trained = options.specs.filter(isTrained);
  const flat = createFlat(trained);
  const gradientsOf = createOwnGradients(options, backward, flat);
  const summed: Record<string, Tensor> = Object.fromEntries(trained.map(({ name, shape }) => [name, engine.zeros(shape).keep()]));
  const shapes = new Set<string>();

  const reduce = async (values: Float32Array, count: number): Promise<void> => {
    if (reduction === 'deterministic') return reduceInOrder(comm, values, count);
    for (let from = 0; from < values.length; from += BUCKET) await comm.allReduce(values.subarray(from, from + BUCKET), 'sum');
  };

  return {
    async run(request) {
      const { batches, adamStep, learningRate, lossScale, step } = request;
      comm.note(`step ${step + 1}`);
      backward.prepare(request);
      optimizer.prepare({ learningRate, step: adamStep, lossScale });
      const parts: Parts<Trace> = [];
      try {
        const states = createStateSums(engine, comm);
        const values = await gradientsOf(request, parts, states);
        await reduce(values, batches.length);
        flat.write(summed, values);
        const sums = (options.states ?? []).length > 0 ? await states.overRanks() : null;
        const known = shapes.size;
        for (const batch of batches) shapes.add(options.shapeOf?.(batch) ?? '');
        const norm = engine.scope(() => finishUpdate(options, { gradients: summed, sums: sums && sums() }));
        return { parts, norm, warmUp: shapes.size > known };
      } catch (error) {
        for (const tensor of collectTensors(parts)) tensor.dispose();
        throw error;
      }
    },
    dispose() {
      backward.dispose();
      for (const tensor of Object.values(summed)) tensor.dispose();
    },
  };
}

/** The gradients of this rank's micro-batches as one array: summed in the order of the tree on the host, or one after another on the device. */
function createOwnGradients<Host, Device, Trace>(
  { engine, comm, reduction }: SharedUpdateOptions<Host, Device, Trace>, backward: Backward<Host, Device, Trace>, flat: ReturnType<typeof createFlat>,
) {
  /** Of micro-batch `index`, all kept: what is carried on, and in `parts` the rest. Sums for states are added by `StateSums`, not onto those before. */
  const backwardOf = (request: UpdateRequest<Host>, index: number, parts: Parts<Trace>, before?: Carried): Carried => {
    const device = backward.upload(request, index);
    return engine.scope(() => {
      const { part, carried } = backward.run(device, request, before && { ...before, sums: null });
      for (const tensor of [...collectTensors(carried), ...collectTensors(part)]) tensor.keep();
      parts.push(part);
      return carried;
    });
  };
  return async (request: UpdateRequest<Host>, parts: Parts<Trace>, states: StateSums): Promise<Float32Array> => {
    const span = microBatchesOf(comm, request.batches.length, reduction);
    const read = async ({ gradients, sums }: Carried): Promise<Float32Array> => {
      await states.add(sums);
      return flat.read(gradients);
    };
    if (reduction === 'deterministic') return (await sumByHalves(span, async (index) => read(backwardOf(request, index, parts)))) ?? flat.zeros();
    let carried: Carried | undefined;
    for (let index = span.begin; index < span.end; index++) {
      if (carried) await states.add(carried.sums);
      carried = backwardOf(request, index, parts, carried);
    }
    return carried ? read(carried) : flat.zeros();
  };
}

type Parts<Trace> = UpdateResult<Trace>['parts'];

/** Tensors of `specs` as one array, one behind the other. */
function createFlat(specs: readonly ParameterSpec[]) {
  const sizes = specs.map(({ shape }) => sizeOf(shape));
  const length = sizes.reduce((sum, size) => sum + size, 0);
  const begins = sizes.map((_, index) => sizes.slice(0, index).reduce((sum, size) => sum + size, 0));
  return {
    zeros: () => new Float32Array(length),
    /** Disposes the tensors. */
    async read(tensors: Readonly<Record<string, Tensor>>): Promise<Float32Array> {
      const out = new Float32Array(length);
      try {
        const arrays = await Promise.all(specs.map(({ name }) => tensors[name]!.data()));
        arrays.forEach((array, index) => out.set(array as Float32Array, begins[index]));
      } finally {
        for (const tensor of Object.values(tensors)) tensor.dispose();
      }
      return out;
    },
    write(tensors: Readonly<Record<string, Tensor>>, values: Float32Array): void {
      specs.forEach(({ name }, index) => tensors[name]!.write(values.subarray(begins[index], begins[index]! + sizes[index]!)));
    },
  };
}
