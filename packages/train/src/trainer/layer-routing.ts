// What routing did in one layer, as numbers: the figures that metrics, checkpoints and reports share. How a trace becomes
// numbers is the program's matter.
import { ratio } from '@xmoe/core';
import type { LayerTrace } from '@xmoe/nn';
import { z } from 'zod';

export const layerRoutingSchema = z.object({
  /** Tokens that were routed, for weighing batches against each other. Absent: all batches weigh the same. */
  tokens: z.number().optional(),
  /** Claims per unmasked token, before and after capacity. */
  expertsPerToken: z.number(),
  keptPerToken: z.number(),
  /** By number of experts from 0 on: the tokens that were routed to so many, before capacity. Absent where it was not counted. */
  tokensByCount: z.array(z.number()).readonly().optional(),
  /** Dropped claims / wanted claims. */
  dropRate: z.number(),
  /** Share of the kept claims by expert. */
  load: z.array(z.number()).readonly(),
  /** FLOPs of this layer's forward and backward pass: planned by capacity (γ·T·O(E)), and really executed. */
  budgetedFlops: z.number(),
  executedFlops: z.number(),
  /** Share of hidden units above 0, where the layer counts them. */
  positiveShare: z.number().optional(),
});

/** Routing of one mixture-of-experts layer in one step, as numbers. */
export type LayerRouting = z.output<typeof layerRoutingSchema>;

/** Routing by layer. */
export type RoutingByLayer = { layer: string; summary: LayerRouting }[];

/** Reads the traces of several micro-batches, each by layer. */
export async function readTraces<Trace>(
  parts: readonly { traces: readonly LayerTrace<Trace>[] }[],
  summarizeTrace: (trace: Trace) => Promise<LayerRouting>,
): Promise<RoutingByLayer[]> {
  const byPart: RoutingByLayer[] = [];
  for (const { traces } of parts) {
    const byLayer: RoutingByLayer = [];
    for (const { layer, trace } of traces) byLayer.push({ layer, summary: await summarizeTrace(trace) });
    byPart.push(byLayer);
  }
  return byPart;
}

/** Several batches through one layer as if they were one: ratios of summed claims and tokens, sums of FLOPs. */
export function mergeRouting(all: readonly LayerRouting[]): LayerRouting {
  const total = (pick: (routing: LayerRouting) => number): number => all.reduce((sum, routing) => sum + pick(routing), 0);
  const weight = (routing: LayerRouting): number => routing.tokens ?? 1;
  const wanted = (routing: LayerRouting): number => routing.expertsPerToken * weight(routing);
  const kept = (routing: LayerRouting): number => routing.keptPerToken * weight(routing);
  return {
    ...(all.every(({ tokens }) => tokens !== undefined) ? { tokens: total(weight) } : {}),
    ...(all.every(({ tokensByCount }) => tokensByCount !== undefined) ? { tokensByCount: addLists(all.map(({ tokensByCount }) => tokensByCount!)) } : {}),
    expertsPerToken: ratio(total(wanted), total(weight)),
    keptPerToken: ratio(total(kept), total(weight)),
    dropRate: ratio(total((routing) => routing.dropRate * wanted(routing)), total(wanted)),
    load: all[0]!.load.map((_, expert) => ratio(total((routing) => routing.load[expert]! * kept(routing)), total(kept))),
    budgetedFlops: total((routing) => routing.budgetedFlops),
    executedFlops: total((routing) => routing.executedFlops),
    ...(all.every(({ positiveShare }) => positiveShare !== undefined)
      ? { positiveShare: ratio(total((routing) => routing.positiveShare! * kept(routing)), total(kept)) }
      : {}),
  };
}

/** By place; a list that ends earlier has zeros there. */
function addLists(lists: readonly (readonly number[])[]): number[] {
  const length = Math.max(...lists.map((list) => list.length));
  return Array.from({ length }, (_, place) => lists.reduce((sum, list) => sum + (list[place] ?? 0), 0));
}

/** One summary of each layer, of those of several batches; layers in the order in which they first come. */
export function mergeByLayer(batches: readonly RoutingByLayer[]): RoutingByLayer {
  const byLayer = new Map<string, LayerRouting[]>();
  for (const { layer, summary } of batches.flat()) {
    const summaries = byLayer.get(layer);
    if (summaries) summaries.push(summary);
    else byLayer.set(layer, [summary]);
  }
  return [...byLayer].map(([layer, summaries]) => ({ layer, summary: mergeRouting(summaries) }));
}
