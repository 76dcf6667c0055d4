// The threshold router whose t is moved so that the mean number of experts stays at a set cost: a PI controller, after DTop-p
// (arXiv 2512.13996). The selection is that of threshold.ts.
import { add, bincount, cast, cumsum, divide, greater, maximum, minimum, multiply, reshape, select, subtract, sum, thresholdSelect, topK, type Tensor } from '@xmoe/core';
import { probabilitiesOf } from './gate.js';
import { flag, names, readOptions, real, type FilledOptions, type OptionsOf } from './options.js';
import { placeOf } from './quantile-histogram.js';
import { MOST_EXPERTS } from './reference/checks.js';
import { MASS_BINS, THRESHOLD_RANGE, THRESHOLD_RULES } from './reference/controlled-threshold.js';
import { defineRouter, type Router, type RouterInput } from './router.js';
import { nextForecast, realTokens, stateOf, type RouterState, type StateTensors } from './router-state.js';
import { rankedLosses, requireTarget, weigh } from './softmax-routing.js';
import { BESIDE_THRESHOLD } from './threshold.js';

export const CONTROLLED_THRESHOLD_OPTIONS = {
  /** Experts per token, on average over all tokens of an update: from 1 to N. */
  target: real(1, MOST_EXPERTS).withinExperts(),
  /** How t moves: by a controller, step by step, or to the quantile that would have met the target. Default `controller`. */
  rule: names(THRESHOLD_RULES).or('controller'),
  /** With `quantile`: how much of t stays in an update, once it has seen some. Default 0.5. */
  decay: real(0, 1).or(0.5),
  /** t of the first update. Default 0.3. */
  initialThreshold: real(0, 1).or(0.3),
  /** By how much t moves per change of the relative error. Default 0.02. */
  proportional: real(0, 1).or(0.02),
  /** By how much t moves per relative error. Default 0.01. */
  integral: real(0, 1).or(0.01),
  /** One threshold for all layers: the target is then of their mean. Default false. */
  shared: flag(false),
  /** In evaluation, this t instead of the one that training ended with. */
  threshold: real(0, 1).optional(),
  ...BESIDE_THRESHOLD,
};

export type ControlledThresholdRouterOptions = OptionsOf<typeof CONTROLLED_THRESHOLD_OPTIONS>;
type Settings = FilledOptions<typeof CONTROLLED_THRESHOLD_OPTIONS>;

/**
 * Routes as the threshold router, by the t of its state. After each update of all its micro-batches, with e = (target − claims / tokens) /
 * target: t ← clamp(t + proportional·(e − e₋₁) + integral·e, 0.01, 0.999); the first update goes without e − e₋₁. With the rule `quantile`, t is a
 * forecast of the t by which the tokens of an update take `target` experts on average, see `nextForecast`. State: `threshold`,
 * `error` and `updates`, float32 [1]; with `quantile` the error is the trend, what t is expected to move by. In evaluation t stays, and no token depends on another.
 * @throws XMoEError on bad options; when routing, for a target that the layer cannot give, or without its state.
 */
export function createControlledThresholdRouter(options: ControlledThresholdRouterOptions): Router {
  const settings = readOptions('controlled-threshold router', CONTROLLED_THRESHOLD_OPTIONS, options);
  const { target, threshold, maxExpertsPerToken = Infinity, renormalize } = settings;
  return defineRouter({
    name: 'controlled-threshold',
    usesGate: true,
    maxChoices: (experts) => requireTarget('controlled-threshold', target, Math.min(experts, maxExpertsPerToken)),
    state: controllerState(settings),
    choose(input, choices) {
      const { logits, mask = null, training = false } = input;
      const state = stateOf('controlled-threshold', input, ['threshold']);
      const p = probabilitiesOf(logits!, mask);
      const fixed = training ? undefined : threshold;
      const { values, indices: expertIds, counts } = thresholdSelect(p, fixed ?? state.threshold!, { choices, mask });
      return {
        expertIds,
        counts,
        full: false,
        weights: weigh(values, expertIds, false, renormalize),
        scores: values,
        probabilities: p,
        ...rankedLosses(input, p, expertIds),
        priority: 'rank-probability',
        statistics: training ? statisticsOf(settings, input, p, counts, choices) : null,
      };
    },
  });
}

function statisticsOf({ rule }: Settings, input: RouterInput, p: Tensor, counts: Tensor, choices: number): StateTensors {
  if (rule === 'controller') return { claims: sum(counts), tokens: realTokens(input) };
  return input.engine.noGrad(() => ({ histogram: massHistogram(input, p, choices), tokens: realTokens(input) }));
}

/**
 * How many choices of real tokens have which mass before them, int32 [bins]: a token takes its j-th best expert if the mass of those before it is
 * below t.
 */
function massHistogram({ tokens, mask }: RouterInput, p: Tensor, choices: number): Tensor {
  const { values } = topK(p, choices);
  const before = subtract(cumsum(values), values);
  const bins = cast(minimum(maximum(multiply(before, MASS_BINS), 0), MASS_BINS - 1), 'int32');
  return bincount(mask ? select(reshape(mask, [tokens, 1]), bins, -1) : bins, MASS_BINS);
}

function controllerState(settings: Settings): RouterState {
  const { initialThreshold, rule, shared } = settings;
  return {
    shared,
    tensors: () => ({ threshold: { shape: [1], initial: initialThreshold }, error: { shape: [1], initial: 0 }, updates: { shape: [1], initial: 0 } }),
    next: (state, sums) => (rule === 'controller' ? nextByController(settings, state, sums) : nextByQuantile(settings, state, sums)),
  };
}

function nextByController({ target, proportional, integral }: Settings, state: StateTensors, sums: StateTensors): Record<string, Tensor> {
  const { threshold, error, updates } = state as Record<string, Tensor>;
  const { claims, tokens } = asRow(sums) as Record<string, Tensor>;
  const mean = divide(claims!, maximum(tokens!, 1));
  const now = multiply(subtract(target, mean), 1 / target);
  const change = select(greater(updates!, 0), subtract(now, error!), 0);
  const moved = add(threshold!, add(multiply(change, proportional), multiply(now, integral)));
  const seen = greater(tokens!, 0); // an update of padding alone changes nothing
  return {
    threshold: select(seen, withinRange(moved), threshold!),
    error: select(seen, now, error!),
    updates: add(updates!, cast(seen, 'float32')),
  };
}

function nextByQuantile({ target, decay }: Settings, { threshold, error, updates }: StateTensors, { histogram, tokens }: StateTensors): Record<string, Tensor> {
  const real = cast(reshape(tokens!, [1, 1]), 'float32');
  const place = placeOf(reshape(histogram!, [1, MASS_BINS]), multiply(real, target));
  const q = withinRange(multiply(reshape(place, [1]), 1 / MASS_BINS));
  const next = nextForecast({ value: threshold!, trend: error! }, q, updates!, decay);
  const seen = greater(reshape(real, [1]), 0); // an update of padding alone changes nothing
  return {
    threshold: select(seen, withinRange(next.value), threshold!),
    error: select(seen, next.trend, error!),
    updates: add(updates!, cast(seen, 'float32')),
  };
}

const withinRange = (t: Tensor): Tensor => minimum(maximum(t, THRESHOLD_RANGE.lowest), THRESHOLD_RANGE.highest);

/** Counts of one element as float32 [1]. */
function asRow(sums: StateTensors): StateTensors {
  return Object.fromEntries(Object.entries(sums).map(([name, count]) => [name, count.engine.alias(cast(count, 'float32'), [1])]));
}
