// What the micro-batches of an update say in numbers, over all ranks and in the order of the micro-batches, so that sums of them have the same bits
// for any number of ranks.
import type { Tensor } from '@xmoe/core';
import { gatherValues, type Comm } from '@xmoe/distributed';
import { mergeByLayer, readTraces, type LayerRouting, type RoutingByLayer } from './layer-routing.js';
import type { UpdateResult } from './update.js';

export interface UpdateNumbers {
  loss: number;
  crossEntropy: number;
  auxLoss: number;
  /** Null unless asked for. */
  routing: RoutingByLayer | null;
}

const FIGURES = 3;

/**
 * Sums over the micro-batches of all ranks, of which `parts` are this rank's. All reads start at once.
 * @param most that a rank has of them
 */
export async function readNumbers<Trace>(
  comm: Comm, { parts, order }: Pick<UpdateResult<Trace>, 'parts' | 'order'>, most: number, summarizeTrace: ((trace: Trace) => Promise<LayerRouting>) | null,
): Promise<UpdateNumbers> {
  const read = async (tensor: Tensor | null): Promise<number> => (tensor ? tensor.item() : 0);
  const figures = await Promise.all(parts.flatMap(({ loss, crossEntropy, auxLoss }) => [loss, crossEntropy, auxLoss].map(read)));
  const sums = new Array<number>(FIGURES).fill(0);
  for (const values of inOrder(await gatherFigures(comm, figures, most), order)) values.forEach((value, index) => (sums[index]! += value));
  const [loss, crossEntropy, auxLoss] = sums as [number, number, number];
  return { loss, crossEntropy, auxLoss, routing: summarizeTrace ? await gatherRouting(comm, { parts, order }, summarizeTrace) : null };
}

/** What came by rank, by micro-batch. */
function inOrder<Value>(values: readonly Value[], order: readonly number[] | undefined): readonly Value[] {
  if (!order) return values;
  const sorted = new Array<Value>(values.length);
  order.forEach((index, at) => (sorted[index] = values[at]!));
  return sorted;
}

/** The figures of each micro-batch, by rank. As numbers, not as JSON, which has no NaN. */
async function gatherFigures(comm: Comm, figures: readonly number[], most: number): Promise<Float64Array[]> {
  const cut = (values: Float64Array): Float64Array[] => Array.from({ length: values.length / FIGURES }, (_, part) => values.subarray(part * FIGURES, (part + 1) * FIGURES));
  if (comm.size === 1) return cut(Float64Array.from(figures));
  const width = 1 + FIGURES * most;
  const own = new Float64Array(width);
  own.set([figures.length, ...figures]);
  const all = new Float64Array(width * comm.size);
  await comm.allGather(own, all);
  return Array.from({ length: comm.size }, (_, rank) => cut(all.subarray(rank * width + 1, rank * width + 1 + all[rank * width]!))).flat();
}

async function gatherRouting<Trace>(comm: Comm, { parts, order }: Pick<UpdateResult<Trace>, 'parts' | 'order'>, summarizeTrace: (trace: Trace) => Promise<LayerRouting>): Promise<RoutingByLayer> {
  const byPart = await readTraces(parts, summarizeTrace);
  const all = comm.size === 1 ? byPart : (await gatherValues(comm, byPart)).flat();
  return mergeByLayer(inOrder(all, order));
}
