// The expert-threshold router (arXiv 2603.11535; the same rule as dynamic quantile balancing, kexue.fm/archives/11626): every expert has a
// cutoff, a moving quantile of its scores, and takes whatever reaches it. Histograms are quantile-histogram.ts.
import {
  add, argMax, cast, equal, exp, greater, greaterEqual, less, log, logicalAnd, maximum, multiply, reshape, select, sigmoid, slice,
  subtract, sum, takeAlongLast, topK, type Tensor,
} from '@xmoe/core';
import { integer, names, readOptions, real, type FilledOptions, type OptionsOf } from './options.js';
import { countsPerExpert, quantilePlaces } from './quantile-histogram.js';
import { MOST_EXPERTS } from './reference/checks.js';
import { FALLBACKS } from './reference/expert-threshold.js';
import { HISTOGRAM_BINS, SCORE_RANGES, type ScoreName } from './reference/histogram.js';
import { asColumn, defineRouter, type Router, type RouterInput } from './router.js';
import { keptShare, stateOf, type RouterState } from './router-state.js';
import { lossesOf, SCORE_OPTIONS, scoresOf } from './scores.js';
import { requireChoices, weigh } from './softmax-routing.js';

export const EXPERT_THRESHOLD_OPTIONS = {
  /** Experts per token, on average over all tokens: 1 to N. */
  k: integer(1, MOST_EXPERTS).withinExperts(),
  /** How much of a cutoff stays in an update, once it has seen some. Default 0.9. */
  decay: real(0, 1).or(0.9),
  /** What a token takes that reaches no cutoff: its `best` expert, or the one whose cutoff it is `nearest` to, which is balanced. Default `best`. */
  fallback: names(FALLBACKS).or('best'),
  /** Upper bound on the experts of one token, for smaller tensors. Default: N. */
  maxExpertsPerToken: integer(1, MOST_EXPERTS).optional(),
  ...SCORE_OPTIONS,
};

export type ExpertThresholdRouterOptions = OptionsOf<typeof EXPERT_THRESHOLD_OPTIONS>;
type Settings = FilledOptions<typeof EXPERT_THRESHOLD_OPTIONS>;

/**
 * An expert takes every token whose score reaches its cutoff c; a token that reaches none takes one expert, see
 * `fallback`. After each update, with q
 * the value that a share k / N of the update's real tokens reach: c ← d·c + (1 − d)·q, d = min(decay, (1 + n) / (10 + n)) after n updates,
 * and c = q the first time, before which every token takes its best expert alone. State: `cutoffs` [N], `updates` [1]. No balance loss.
 * No token depends on another, in training neither.
 * @throws XMoEError on bad options; when routing, for k above N, or without its state.
 */
export function createExpertThresholdRouter(options: ExpertThresholdRouterOptions): Router {
  const settings = readOptions('expert-threshold router', EXPERT_THRESHOLD_OPTIONS, options);
  const { k, scores: kind, renormalize, maxExpertsPerToken = Infinity } = settings;
  return defineRouter({
    name: 'expert-threshold',
    usesGate: true,
    maxChoices: (experts) => Math.min(requireChoices('k', 'expert-threshold', k, experts) && experts, maxExpertsPerToken),
    state: cutoffState(settings),
    choose(input, choices) {
      const { engine, training = false } = input;
      const { cutoffs } = stateOf('expert-threshold', input, ['cutoffs']);
      const { scores, probabilities } = scoresOf(input, kind);
      const { expertIds, counts, statistics } = engine.noGrad(() => ({
        ...takeReached(input, scores, cutoffs!, choices, settings), statistics: training ? { histogram: scoreHistogram(input, scores, kind) } : null,
      }));
      const weights = takeAlongLast(scores, expertIds);
      return { expertIds, counts, full: false, weights: weigh(weights, expertIds, false, renormalize), scores: weights, probabilities, ...lossesOf(input), priority: 'rank-probability', statistics };
    },
  });
}

/** Of each real token the experts whose cutoff it reaches, at most K, the largest scores first; or one that it does not reach. */
function takeReached({ engine, tokens, experts, mask }: RouterInput, scores: Tensor, cutoffs: Tensor, choices: number, { fallback }: Settings): { expertIds: Tensor; counts: Tensor } {
  const limits = reshape(cutoffs, [1, experts]);
  const reached = greaterEqual(scores, limits);
  const { values, indices } = topK(select(reached, scores, -1), choices);
  const own = select(less(values, 0), -1, indices);
  const none = less(slice(values, [0, 0], [tokens, 1]), 0);
  const firstPlace = reshape(equal(engine.iota(choices), 0), [1, choices]);
  const ids = select(logicalAnd(none, firstPlace), asColumn(argMax(fallback === 'best' ? scores : subtract(scores, limits))), own);
  const expertIds = mask ? select(asColumn(mask), ids, -1) : ids;
  return { expertIds, counts: engine.alias(sum(cast(greaterEqual(expertIds, 0), 'int32'), 1), [tokens]) };
}

/** How many real tokens have which score, by expert: int32 [N, bins], of logits for sigmoid, of logarithms for softmax. */
function scoreHistogram(input: RouterInput, scores: Tensor, kind: ScoreName): Tensor {
  const { lowest, highest } = SCORE_RANGES[kind];
  const scale = HISTOGRAM_BINS / (highest - lowest);
  const u = kind === 'sigmoid' ? input.logits! : log(maximum(scores, Math.exp(lowest)));
  return countsPerExpert(input, multiply(subtract(u, lowest), scale));
}

function cutoffState({ k, decay, scores: kind }: Settings): RouterState {
  return {
    shared: false,
    tensors: (experts) => ({ cutoffs: { shape: [experts], initial: 1 }, updates: { shape: [1], initial: 0 } }),
    next({ cutoffs, updates }, { histogram }) {
      const [experts] = histogram!.shape as [number];
      const { lowest, highest } = SCORE_RANGES[kind];
      const { place, total } = quantilePlaces(histogram!, experts - k, experts);
      const u = add(multiply(reshape(place, [experts]), (highest - lowest) / HISTOGRAM_BINS), lowest);
      const q = kind === 'sigmoid' ? sigmoid(u) : exp(u);
      const kept = keptShare(updates!, decay);
      const moved = add(multiply(cutoffs!, kept), multiply(q, subtract(1, kept)));
      const seen = greater(reshape(total, [experts]), 0);
      return { cutoffs: select(seen, moved, cutoffs!), updates: add(updates!, cast(slice(seen, [0], [1]), 'float32')) };
    },
  };
}
