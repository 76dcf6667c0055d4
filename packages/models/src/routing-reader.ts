// From a layer's routing trace to the numbers that metrics and reports show.
import { denseFlops, summarizeTrace, type RoutingTrace } from '@xmoe/moe';
import type { LayerRouting } from '@xmoe/train';
import { layerRoutingOf, type ExpertsConfig } from './sections/experts.js';

/** What of a configuration the costs of a layer depend on. */
export interface RoutedSections {
  readonly model: { readonly width: number; readonly hidden: number };
  readonly moe: ExpertsConfig | null;
}

/** Reads a trace; `passes` is 1 for the forward pass alone and 3 with the backward pass. */
export function routingReader({ moe, model }: RoutedSections, passes: 1 | 3): (trace: RoutingTrace) => Promise<LayerRouting> {
  const flopsPerClaim = moe ? denseFlops({ tokens: 1, width: model.width, hidden: moe.expertHidden }) : 0;
  const sharedFlops = moe?.sharedHidden ? denseFlops({ tokens: 1, width: model.width, hidden: moe.sharedHidden }) : 0;
  return async (trace) => layerRoutingOf(await summarizeTrace(trace), { capacityFactor: moe?.capacityFactor ?? 0, flopsPerClaim, sharedFlops, training: passes === 3 });
}

/** What the experts multiplied in a forward pass, over what dense layers of `model.hidden` would for the same tokens; null without experts. */
export function expertsOverDense({ model }: RoutedSections, routing: readonly { summary: LayerRouting }[]): number | null {
  const dense = denseFlops({ tokens: 1, width: model.width, hidden: model.hidden });
  const tokens = routing.reduce((sum, { summary }) => sum + (summary.tokens ?? 0), 0);
  return tokens === 0 ? null : routing.reduce((sum, { summary }) => sum + summary.executedFlops, 0) / (tokens * dense);
}
