// The expert-threshold router on plain arrays, and what moves its cutoffs.
import { requireFlag, requireInteger, requireName, requireOptions } from '@xmoe/core';
import { type GateOptions, argmax, rankExperts, softmaxGate } from './gate.js';
import { HISTOGRAM_BINS, SCORE_RANGES, binOf, histogramRows, keptShare, quantilePlace } from './histogram.js';
import type { Logits } from './logits.js';
import { type PlainState, type Routing, buildRouting, rowOf } from './routing.js';
import { type ScoreOptions, scoresOfGate } from './scores.js';

/** What a token takes that reaches no cutoff. */
export const FALLBACKS = ['best', 'nearest'] as const;

export interface ExpertThresholdOptions extends GateOptions, ScoreOptions {
  /** Experts per token on average, 1 to N. */
  readonly k: number;
  /** Upper bound on the experts of one token. Default: N. */
  readonly maxExpertsPerToken?: number;
  /** Default `best`. */
  readonly fallback?: (typeof FALLBACKS)[number];
  readonly training?: boolean;
  /** `cutoffs` [N]. Default: 1, which nothing reaches. */
  readonly state?: PlainState;
}

/** Every expert takes what reaches its cutoff; a token that reaches none takes one all the same. In training with `histogram` [N, bins] of scores. */
export function routeExpertThreshold(logits: Logits, options: ExpertThresholdOptions): Routing {
  requireOptions('route', options);
  const gate = softmaxGate(logits, options);
  const { experts: N } = gate;
  requireInteger('route', 'k', options.k, 1, N);
  const K = Math.min(N, requireInteger('route', 'maxExpertsPerToken', options.maxExpertsPerToken ?? N, 1));
  const { values, weightSource, round } = scoresOfGate(gate, options);
  const fallback = requireName('route', 'fallback', options.fallback ?? 'best', FALLBACKS);
  const cutoffs = options.state?.cutoffs ?? new Array<number>(N).fill(1);
  const routing = buildRouting(gate, {
    maxChoices: K,
    weightSource,
    balancedByState: true,
    choose: (token) => {
      const row = rowOf(values, token, N);
      const reached = rankExperts(row).filter((expert) => row[expert]! >= cutoffs[expert]!);
      return reached.length > 0 ? reached.slice(0, K) : [argmax(fallback === 'best' ? row : row.map((score, expert) => round(score - cutoffs[expert]!)))];
    },
    weight: (token, expert) => values[token * N + expert]!,
  });
  if (!requireFlag('route', 'training', options.training ?? false)) return routing;
  const histogram = new Array<number>(N * HISTOGRAM_BINS).fill(0);
  const { lowest, highest } = SCORE_RANGES[options.scores ?? 'sigmoid'];
  const scale = HISTOGRAM_BINS / (highest - lowest);
  values.forEach((score, index) => {
    if (gate.mask[Math.floor(index / N)] === 0) return;
    const u = options.scores === 'softmax' ? round(Math.log(Math.max(score, round(Math.exp(lowest))))) : gate.logits[index]!;
    histogram[(index % N) * HISTOGRAM_BINS + binOf(round(round(u - lowest) * round(scale)))]!++;
  });
  return { ...routing, statistics: { histogram } };
}

/** Cutoffs after an update: c ← d·c + (1 − d)·q with q the value that a share k / N of the tokens reach; they stay where there was no token. */
export function nextExpertThreshold(
  { k, decay = 0.9, scores = 'sigmoid' }: Pick<ExpertThresholdOptions, 'k' | 'scores'> & { readonly decay?: number }, state: PlainState, sums: PlainState,
): PlainState {
  const cutoffs = state.cutoffs!;
  const [updates] = state.updates as [number];
  const N = cutoffs.length;
  const { lowest, highest } = SCORE_RANGES[scores];
  const places = histogramRows(sums.histogram!, N).map((counts) => quantilePlace(counts, N - k, N));
  if (places.includes(null)) return state;
  const kept = keptShare(updates, decay);
  const q = places.map((place) => lowest + (place! * (highest - lowest)) / HISTOGRAM_BINS).map((u) => (scores === 'sigmoid' ? 1 / (1 + Math.exp(-u)) : Math.exp(u)));
  return { cutoffs: cutoffs.map((cutoff, expert) => kept * cutoff + (1 - kept) * q[expert]!), updates: [updates + 1] };
}
