// Top-k of scores with biases on plain arrays, and what moves the biases: quantiles, or the sign of what is missing.
import { requireFlag, requireInteger, requireOptions } from '@xmoe/core';
import { type GateOptions, rankExperts, softmaxGate } from './gate.js';
import { HISTOGRAM_BINS, binOf, histogramRows, keptShare, quantilePlace } from './histogram.js';
import type { Logits } from './logits.js';
import { type PlainState, type Routing, buildRouting, rowOf } from './routing.js';
import { type ScoreOptions, scoresOfGate } from './scores.js';

export interface BiasedTopKOptions extends GateOptions, ScoreOptions {
  /** Experts per token, 1 to N. */
  readonly k: number;
  readonly training?: boolean;
  /** `bias` [N]. Default: 0. */
  readonly state?: PlainState;
}

/** Quantile balancing: the k experts of the largest score + bias; in training with `histogram` [N, bins] of the biases that tokens would have needed. */
export function routeQuantile(logits: Logits, options: BiasedTopKOptions): Routing {
  return routeBiased(logits, options, ({ experts: N, tokens: T, mask }, scores, bias, round) => {
    const histogram = new Array<number>(N * HISTOGRAM_BINS).fill(0);
    if (options.k >= N) return { histogram };
    const { lowest, width } = rangeOf(bias, round);
    const scale = round(HISTOGRAM_BINS / width);
    for (let token = 0; token < T; token++) {
      if (mask[token] === 0) continue;
      const biased = rowOf(scores, token, N).map((score, expert) => round(score + bias[expert]!));
      const cutoff = biased[rankExperts(biased)[options.k]!]!;
      for (let expert = 0; expert < N; expert++) {
        const place = round(round(round(cutoff - lowest) * scale) - round(scores[token * N + expert]! * scale));
        histogram[expert * HISTOGRAM_BINS + binOf(place)]!++;
      }
    }
    return { histogram };
  });
}

/** Top-k of score + bias; in training with `load` [N], the claims on each expert. */
export function routeSignBias(logits: Logits, options: BiasedTopKOptions): Routing {
  return routeBiased(logits, options, ({ experts: N, expertIds }) => {
    const load = new Array<number>(N).fill(0);
    for (const expert of expertIds) if (expert >= 0) load[expert]!++;
    return { load };
  });
}

/** Biases after an update: the k/N quantile of those that tokens would have needed, less the mean; with `decay`, default 0.5, their moving average. They stay where there was no token. */
export function nextQuantile({ k, decay = 0.5 }: Pick<BiasedTopKOptions, 'k'> & { readonly decay?: number }, state: PlainState, sums: PlainState): PlainState {
  const bias = state.bias!;
  const N = bias.length;
  const { lowest, width } = rangeOf(bias, (value) => value);
  const places = histogramRows(sums.histogram!, N).map((counts) => quantilePlace(counts, k, N));
  if (places.includes(null)) return state;
  const found = places.map((place) => lowest + (width * place!) / HISTOGRAM_BINS);
  const mean = found.reduce((sum, value) => sum + value, 0) / N;
  if (decay === 0) return { bias: found.map((value) => value - mean) };
  const [updates] = state.updates as [number];
  const kept = keptShare(updates, decay);
  return { bias: found.map((value, expert) => kept * bias[expert]! + (1 - kept) * (value - mean)), updates: [updates + 1] };
}

/** Biases after an update: + rate · sign(mean load − load). */
export function nextSignBias({ rate = 0.001 }: { readonly rate?: number }, state: PlainState, sums: PlainState): PlainState {
  const load = sums.load!;
  const mean = load.reduce((sum, claims) => sum + claims, 0) / load.length;
  return { bias: state.bias!.map((value, expert) => value + rate * Math.sign(mean - load[expert]!)) };
}

function routeBiased(
  logits: Logits, options: BiasedTopKOptions, observe: (routing: Routing, scores: Float64Array, bias: readonly number[], round: (value: number) => number) => PlainState,
): Routing {
  requireOptions('route', options);
  const gate = softmaxGate(logits, options);
  const { experts: N } = gate;
  const k = requireInteger('route', 'k', options.k, 1, N);
  const { values, weightSource, round } = scoresOfGate(gate, options);
  const bias = options.state?.bias ?? new Array<number>(N).fill(0);
  const routing = buildRouting(gate, {
    maxChoices: k,
    weightSource,
    balancedByState: true,
    choose: (token) => rankExperts(rowOf(values, token, N).map((score, expert) => round(score + bias[expert]!))).slice(0, k),
    weight: (token, expert) => values[token * N + expert]!,
  });
  return requireFlag('route', 'training', options.training ?? false) ? { ...routing, statistics: observe(routing, values, bias, round) } : routing;
}

/** Where the bins begin, and how far they reach. */
function rangeOf(bias: readonly number[], round: (value: number) => number): { lowest: number; width: number } {
  const lowest = round(Math.min(...bias) - 1);
  return { lowest, width: round(round(Math.max(...bias) + 1) - lowest) };
}
