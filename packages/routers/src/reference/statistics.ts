// What a routing looks like in numbers, before capacity. What capacity drops is counted in @xmoe/moe.
import { ratio } from '@xmoe/core';
import type { Routing } from './routing.js';

/** Means are over the real (not padding) tokens; all 0 when there is none. */
export interface RouterStatistics {
  readonly tokens: number;
  /** Claims wanted: the sum of the counts. */
  readonly claims: number;
  readonly expertsPerToken: number;
  /** [K + 1]: how many real tokens want 0, 1, … K experts. */
  readonly expertsPerTokenHistogram: Int32Array;
  /** [N]: claims on each expert. */
  readonly wantedPerExpert: Int32Array;
  /** The busiest expert's claims over the mean: 1 when balanced, N at worst. */
  readonly loadImbalance: number;
  /** Mean entropy of p in nats: 0 to log N. */
  readonly entropyMean: number;
  /** Mean of the largest p. */
  readonly topOneMassMean: number;
  /** Mean of the summed p of the chosen experts. */
  readonly selectedMassMean: number;
}

/** Statistics of one routing; padding tokens do not enter. */
export function routerStatistics(routing: Routing): RouterStatistics {
  const { experts: N, maxChoices: K, counts, mask, expertIds, probabilities } = routing;
  const histogram = new Int32Array(K + 1);
  const load = new Int32Array(N);
  let [tokens, claims, entropy, topOne, selected] = [0, 0, 0, 0, 0];
  counts.forEach((count, token) => {
    if (mask[token] === 0) return;
    const p = probabilities.subarray(token * N, (token + 1) * N);
    tokens++;
    claims += count;
    histogram[count]++;
    topOne += p.reduce((best, value) => Math.max(best, value), 0);
    entropy -= p.reduce((sum, value) => (value > 0 ? sum + value * Math.log(value) : sum), 0);
    for (const expert of expertIds.subarray(token * K, token * K + count)) {
      load[expert]++;
      selected += p[expert];
    }
  });
  const mean = (sum: number): number => ratio(sum, tokens);
  return {
    tokens,
    claims,
    expertsPerToken: mean(claims),
    expertsPerTokenHistogram: histogram,
    wantedPerExpert: load,
    loadImbalance: ratio(load.reduce((most, count) => Math.max(most, count), 0) * N, claims),
    entropyMean: mean(entropy),
    topOneMassMean: mean(topOne),
    selectedMassMean: mean(selected),
  };
}
