// What a routing looks like in numbers, before capacity: sums on the device, then one small read. What capacity drops is
// counted in @xmoe/moe.
import { bincount, cast, log, max, maximum, multiply, ratio, select, sum, takeAlongLast, type Tensor } from '@xmoe/core';
import type { RouterStatistics as PlainStatistics } from './reference/statistics.js';
import type { Routing } from './router.js';

/** Sums over the real tokens. The p sums are null for routers without probabilities. */
export interface RouterStatisticsTensors {
  /** int32 []: tokens that are not padding. */
  readonly tokens: Tensor;
  /** int32 [K + 1]: how many real tokens want 0, 1, … K experts. */
  readonly histogram: Tensor;
  /** int32 [N]: claims on each expert. */
  readonly wantedPerExpert: Tensor;
  /** float32 []: the summed entropy of p in nats. */
  readonly entropySum: Tensor | null;
  /** float32 []: the summed largest p. */
  readonly topOneMassSum: Tensor | null;
  /** float32 []: the summed p of all chosen experts. */
  readonly selectedMassSum: Tensor | null;
}

/** Means over the real tokens, all 0 when there is none; null where the router has no probabilities. */
export type RouterStatistics = Omit<PlainStatistics, 'entropyMean' | 'topOneMassMean' | 'selectedMassMean'> & {
  readonly entropyMean: number | null;
  readonly topOneMassMean: number | null;
  readonly selectedMassMean: number | null;
};

/** Statistics of a routing on the device, without reading it. */
export function routerStatistics(routing: Routing): RouterStatisticsTensors {
  const { counts, mask, expertIds, tokens, maxChoices, experts, probabilities: p } = routing;
  const { engine } = counts;
  return engine.noGrad(() =>
    engine.scope(() => {
      const loads = {
        tokens: mask ? sum(cast(mask, 'int32')) : engine.scalar(tokens, 'int32'),
        histogram: bincount(mask ? select(mask, counts, -1) : counts, maxChoices + 1),
        wantedPerExpert: bincount(expertIds, experts),
      };
      if (!p) return { ...loads, entropySum: null, topOneMassSum: null, selectedMassSum: null };
      const chosen = takeAlongLast(p, expertIds); // 0 where the id is −1
      return {
        ...loads,
        entropySum: multiply(sum(multiply(p, log(maximum(p, 1e-37)))), -1), // p·log p is 0 at p = 0
        topOneMassSum: sum(max(p, -1)), // rows of padding are 0
        selectedMassSum: sum(chosen),
      };
    }),
  );
}

/** Reads {@link routerStatistics}. */
export async function readRouterStatistics(tensors: RouterStatisticsTensors): Promise<RouterStatistics> {
  const [tokens, histogram, load] = await Promise.all([tensors.tokens.item(), tensors.histogram.data(), tensors.wantedPerExpert.data()]);
  const wantedPerExpert = Int32Array.from(load);
  const claims = wantedPerExpert.reduce((total, claimsOnExpert) => total + claimsOnExpert, 0);
  const busiest = wantedPerExpert.reduce((most, claimsOnExpert) => Math.max(most, claimsOnExpert), 0);
  const mean = async (total: Tensor | null): Promise<number | null> => (total ? ratio(await total.item(), tokens) : null);
  return {
    tokens,
    claims,
    expertsPerToken: ratio(claims, tokens),
    expertsPerTokenHistogram: Int32Array.from(histogram),
    wantedPerExpert,
    loadImbalance: ratio(busiest * wantedPerExpert.length, claims),
    entropyMean: await mean(tensors.entropySum),
    topOneMassMean: await mean(tensors.topOneMassSum),
    selectedMassMean: await mean(tensors.selectedMassSum),
  };
}
