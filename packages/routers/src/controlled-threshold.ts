// The threshold router whose t is moved so that the mean number of experts stays at a set cost: a PI controller, after DTop-p
// (arXiv 2512.13996). The selection is that of threshold.ts.
import { add, cast, divide, greater, maximum, minimum, multiply, select, subtract, sum, thresholdSelect, type Tensor } from '@xmoe/core';
import { probabilitiesOf } from './gate.js';
import { flag, readOptions, real, type FilledOptions, type OptionsOf } from './options.js';
import { MOST_EXPERTS } from './reference/checks.js';
import { defineRouter, type Router } from './router.js';
import { realTokens, stateOf, type RouterState, type StateTensors } from './router-state.js';
import { rankedLosses, requireTarget, weigh } from './softmax-routing.js';
import { BESIDE_THRESHOLD } from './threshold.js';

export const CONTROLLED_THRESHOLD_OPTIONS = {
  /** Experts per token, on average over all tokens of an update: from 1 to N. */
  target: real(1, MOST_EXPERTS).withinExperts(),
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

/** Ends of t. */
const THRESHOLD_RANGE = [0.01, 0.999] as const;

/**
 * Routes as the threshold router, by the t of its state. After each update of all its micro-batches, with e = (target − claims / tokens) /
 * target: t ← clamp(t + proportional·(e − e₋₁) + integral·e, 0.01, 0.999); the first update goes without e − e₋₁. State: `threshold`,
 * `error` and `updates`, float32 [1]. In evaluation t stays, and no token depends on another.
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
        statistics: training ? { claims: sum(counts), tokens: realTokens(input) } : null,
      };
    },
  });
}

function controllerState({ target, initialThreshold, proportional, integral, shared }: Settings): RouterState {
  return {
    shared,
    tensors: () => ({ threshold: { shape: [1], initial: initialThreshold }, error: { shape: [1], initial: 0 }, updates: { shape: [1], initial: 0 } }),
    next(state, sums) {
      const { threshold, error, updates } = state as Record<string, Tensor>;
      const { claims, tokens } = asRow(sums) as Record<string, Tensor>;
      const mean = divide(claims!, maximum(tokens!, 1));
      const now = multiply(subtract(target, mean), 1 / target);
      const change = select(greater(updates!, 0), subtract(now, error!), 0);
      const moved = add(threshold!, add(multiply(change, proportional), multiply(now, integral)));
      const [least, most] = THRESHOLD_RANGE;
      const seen = greater(tokens!, 0); // an update of padding alone changes nothing
      return {
        threshold: select(seen, minimum(maximum(moved, least), most), threshold!),
        error: select(seen, now, error!),
        updates: add(updates!, cast(seen, 'float32')),
      };
    },
  };
}

/** Counts of one element as float32 [1]. */
function asRow(sums: StateTensors): StateTensors {
  return Object.fromEntries(Object.entries(sums).map(([name, count]) => [name, count.engine.alias(cast(count, 'float32'), [1])]));
}
