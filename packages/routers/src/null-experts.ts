// Top-k over experts and null experts, which compute nothing and cost nothing (AdaMoE, arXiv 2406.13233): a token takes fewer experts the more of
// its choices are null ones. A bias of these holds what tokens cost on average, as LongCat-Flash (arXiv 2509.01322) does with one for each expert.
import {
  add, bincount, cast, concat, divide, greater, greaterEqual, less, logicalAnd, maximum, minimum, multiply, reshape, select, slice, subtract, sum, takeAlongLast, topK,
  type Tensor,
} from '@xmoe/core';
import { probabilitiesOf } from './gate.js';
import { flag, integer, positive, readOptions, real, type FilledOptions, type OptionsOf } from './options.js';
import { placeOf } from './quantile-histogram.js';
import { MOST_EXPERTS } from './reference/checks.js';
import { MARGIN_BINS, MARGIN_RANGE, nullExpertsOf } from './reference/null-experts.js';
import { asColumn, defineRouter, type Router, type RouterInput, type Routing } from './router.js';
import { nextForecast, stateOf, type RouterState } from './router-state.js';
import { gateLosses, mostProbable, requireChoices, requireTarget } from './softmax-routing.js';

export const NULL_EXPERTS_OPTIONS = {
  /** Choices of a token, null experts among them: 1 to N. */
  k: integer(1, MOST_EXPERTS).withinExperts(),
  /** Experts per token that are none of these, on average over all tokens: above 0, at most k. */
  target: positive().withinExperts(),
  /** How many there are. Default: N·(k − target) / target, with which equal choices cost the target; at least 1. */
  nullExperts: integer(1, MOST_EXPERTS).optional(),
  /** How much of the bias stays in an update, once it has seen some. Default 0.9. */
  decay: real(0, 1).or(0.9),
  /** Divide the weights of a token by the sum over its k choices, those of null experts too. Default false. */
  renormalize: flag(false),
};

export type NullExpertsRouterOptions = OptionsOf<typeof NULL_EXPERTS_OPTIONS>;
type Settings = FilledOptions<typeof NULL_EXPERTS_OPTIONS>;

/** What a place for a null expert has against it where there are fewer of them than places. */
const NO_RIVAL = -1e30;

/**
 * Routes to the k largest of the logits of N experts and, with the bias, of Z null experts, and leaves those out: a token takes 0 to k
 * experts. Logits are [T, N + Z], those of null experts last. Weights are the softmax over all of them, so that a gate learns what null experts are for. After each
 * update, the bias is a forecast of that with which real tokens take `target` experts on average, see `nextForecast`, from those of the updates so far.
 * State: `bias`, `trend` and `updates`, float32 [1]. The probabilities, and the balance
 * loss, are of the experts alone. No token depends on another, in training neither.
 * @throws XMoEError on bad options; when routing, for k above N, a target above k, or without its state.
 */
export function createNullExpertsRouter(options: NullExpertsRouterOptions): Router {
  const settings = readOptions('null-experts router', NULL_EXPERTS_OPTIONS, options);
  const { k, target, renormalize } = settings;
  requireTarget('null-experts', target, k);
  return defineRouter({
    name: 'null-experts',
    usesGate: true,
    gateOutputs: (experts) => experts + nullExpertsOf(settings, experts),
    maxChoices: (experts) => requireChoices('k', 'null-experts', k, experts),
    state: biasState(settings),
    choose(input) {
      const { engine, logits, tokens, experts, mask = null, training = false } = input;
      const { bias } = stateOf('null-experts', input, ['bias']);
      const p = probabilitiesOf(slice(logits!, [0, 0], [tokens, experts]), mask);
      const all = probabilitiesOf(logits!, mask);
      const { expertIds, counts, nullIds, margins } = engine.noGrad(() => compete(input, bias!, k));
      const own = takeAlongLast(all, expertIds); // 0 where the id is −1
      return {
        expertIds,
        counts,
        full: false,
        weights: renormalize ? divide(own, totalOf(own, takeAlongLast(all, nullIds))) : own,
        scores: own,
        probabilities: p,
        ...gateLosses(input, p, () => mostProbable(input, p)),
        priority: 'rank-probability',
        statistics: training ? engine.noGrad(() => ({ histogram: marginHistogram(input, margins) })) : null,
      };
    },
  });
}

interface Competition extends Pick<Routing, 'expertIds' | 'counts'> {
  /** int32 [T, min(k, Z)]: columns of the null experts that were chosen, −1 where none was. */
  readonly nullIds: Tensor;
  /** [T, k]: below which bias the best, second, … expert is chosen. */
  readonly margins: Tensor;
}

/**
 * The j-th best expert is among the k best of all if it is not below the (k − j + 1)-th best null expert: k − j + 1 of them would leave it no place.
 * Margins fall with j, so the chosen experts are the best ones.
 */
function compete({ engine, logits, tokens, experts, mask }: RouterInput, bias: Tensor, k: number): Competition {
  const nullExperts = logits!.shape[1]! - experts;
  const places = Math.min(k, nullExperts);
  const best = topK(slice(logits!, [0, 0], [tokens, experts]), k);
  const nulls = topK(slice(logits!, [0, experts], [tokens, nullExperts]), places);
  const rising = multiply(topK(multiply(nulls.values, -1), places).values, -1);
  const rivals = places < k ? concat([engine.full([tokens, k - places], NO_RIVAL), rising], 1) : rising;
  const margins = subtract(best.values, rivals);
  const reached = greaterEqual(margins, reshape(bias, [1, 1]));
  const taken = mask ? logicalAnd(reached, asColumn(mask)) : reached;
  const counts = sum(cast(taken, 'int32'), 1, { keepAxes: true });
  const left = less(reshape(engine.iota(places), [1, places]), subtract(k, counts));
  const nullIds = select(mask ? logicalAnd(left, asColumn(mask)) : left, add(nulls.indices, experts), -1);
  return { expertIds: select(taken, best.indices, -1), counts: engine.alias(counts, [tokens]), nullIds, margins };
}

/** Sums over the k choices [T, 1]; 1 for padding, which has none. */
function totalOf(own: Tensor, ofNull: Tensor): Tensor {
  const total = add(sum(own, -1, { keepAxes: true }), sum(ofNull, -1, { keepAxes: true }));
  return select(greater(total, 0), total, 1);
}

/** How many choices of real tokens have which margin: int32 [bins]. */
function marginHistogram({ mask }: RouterInput, margins: Tensor): Tensor {
  const { lowest, highest } = MARGIN_RANGE;
  const places = multiply(subtract(margins, lowest), MARGIN_BINS / (highest - lowest));
  const bins = cast(minimum(maximum(places, 0), MARGIN_BINS - 1), 'int32');
  return bincount(mask ? select(asColumn(mask), bins, -1) : bins, MARGIN_BINS);
}

function biasState({ k, target, decay }: Settings): RouterState {
  return {
    shared: false,
    tensors: () => ({ bias: { shape: [1], initial: 0 }, trend: { shape: [1], initial: 0 }, updates: { shape: [1], initial: 0 } }),
    next({ bias, trend, updates }, { histogram }) {
      const { lowest, highest } = MARGIN_RANGE;
      const total = cast(sum(histogram!), 'float32');
      const place = placeOf(reshape(histogram!, [1, MARGIN_BINS]), reshape(multiply(total, (k - target) / k), [1, 1]));
      const q = reshape(add(multiply(place, (highest - lowest) / MARGIN_BINS), lowest), [1]);
      const next = nextForecast({ value: bias!, trend: trend! }, q, updates!, decay);
      const seen = greater(reshape(total, [1]), 0); // an update of padding alone changes nothing
      return {
        bias: select(seen, next.value, bias!),
        trend: select(seen, next.trend, trend!),
        updates: add(updates!, cast(seen, 'float32')),
      };
    },
  };
}
