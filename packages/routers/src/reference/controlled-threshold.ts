// The controlled threshold on plain arrays: routing by a t that is given, and the controller that moves it.
import { requireFinite, requireName, requireOptions } from '@xmoe/core';
import { binOf, nextForecast, placeOf } from './histogram.js';
import type { Logits, Precision } from './logits.js';
import { type PlainState, type Routing, rowOf } from './routing.js';
import { routeThreshold, type ThresholdOptions } from './threshold.js';

/** How t moves. */
export const THRESHOLD_RULES = ['controller', 'quantile'] as const;

/** Ends of t. */
export const THRESHOLD_RANGE = { lowest: 0.01, highest: 0.999 } as const;

/** Bins of mass, from 0 to 1. */
export const MASS_BINS = 8000;

export interface ControlledThresholdOptions extends Omit<ThresholdOptions, 'threshold'> {
  readonly initialThreshold?: number;
  /** Decides what the state moves by. Default `controller`. */
  readonly rule?: (typeof THRESHOLD_RULES)[number];
  /** In evaluation, instead of that of the state. */
  readonly threshold?: number;
  readonly training?: boolean;
  /** `threshold`, one number. Default: that of before the first update. */
  readonly state?: PlainState;
}

export interface ControllerOptions {
  readonly target: number;
  /** Default 0.02 and 0.01. */
  readonly proportional?: number;
  readonly integral?: number;
  /** Default `controller`. */
  readonly rule?: (typeof THRESHOLD_RULES)[number];
  /** Of `quantile`. Default 0.5. */
  readonly decay?: number;
}

/** Routes by threshold, with the t of `state`; in training also what the state moves by: `claims`, or the `histogram` of the masses before choices, and `tokens`. @throws as {@link routeThreshold} */
export function routeControlledThreshold(logits: Logits, options: ControlledThresholdOptions): Routing {
  requireOptions('route', options);
  const { initialThreshold = 0.3, threshold, training = false, state, mask, precision, maxExpertsPerToken, renormalize } = options;
  const t = (training ? undefined : threshold) ?? state?.threshold?.[0] ?? initialThreshold;
  const routing = routeThreshold(logits, { mask, precision, maxExpertsPerToken, renormalize, threshold: t });
  if (!training) return routing;
  const rule = requireName('route', 'rule', options.rule ?? 'controller', THRESHOLD_RULES);
  return { ...routing, statistics: rule === 'controller' ? controllerStatistics(routing) : massStatistics(routing, precision) };
}

/** How many choices of real tokens have which mass before them. */
function massStatistics({ tokens: T, experts: N, maxChoices: K, mask, probabilities }: Routing, precision: Precision = 'float32'): PlainState {
  const histogram = new Array<number>(MASS_BINS).fill(0);
  const round = precision === 'float32' ? Math.fround : (value: number): number => value;
  for (let token = 0; token < T; token++) {
    if (mask[token] === 0) continue;
    let before = 0;
    for (const p of rowOf(probabilities, token, N).toSorted((a, b) => b - a).slice(0, K)) {
      histogram[binOf(round(before * MASS_BINS), MASS_BINS)]!++;
      before = round(before + p);
    }
  }
  return { histogram, tokens: [mask.reduce((sum, real) => sum + real, 0)] };
}

function controllerStatistics({ counts, mask }: Routing): PlainState {
  const total = (numbers: ArrayLike<number>): number => Array.from(numbers).reduce((sum, number) => sum + number, 0);
  return { claims: [total(counts)], tokens: [total(mask)] };
}

/**
 * The state after an update: with e = (target − claims / tokens) / target, t ← clamp(t + proportional·(e − e₋₁) + integral·e, 0.01, 0.999),
 * the first time without e − e₋₁; or a forecast of the t that would have met the target. Without a token nothing changes.
 */
export function nextControlledThreshold(options: ControllerOptions, state: PlainState, sums: PlainState): PlainState {
  if (options.rule === 'quantile') return nextByQuantile(options, state, sums);
  const { proportional = 0.02, integral = 0.01 } = options;
  const target = requireFinite('nextControlledThreshold', 'target', options.target);
  const [tokens, claims, t, before, updates] = [sums.tokens, sums.claims, state.threshold, state.error, state.updates].map((numbers) => numbers![0]!);
  if (tokens === 0) return state;
  const error = (target - claims / tokens) / target;
  const moved = t + proportional * (updates > 0 ? error - before : 0) + integral * error;
  return { threshold: [withinRange(moved)], error: [error], updates: [updates + 1] };
}

function nextByQuantile({ target, decay = 0.5 }: ControllerOptions, state: PlainState, { histogram, tokens }: PlainState): PlainState {
  const [t, trend, updates] = [state.threshold![0]!, state.error![0]!, state.updates![0]!];
  const place = placeOf(histogram!, target * tokens![0]!);
  if (place === null) return state;
  const next = nextForecast({ value: t, trend }, withinRange(place / MASS_BINS), updates, decay);
  return { threshold: [withinRange(next.value)], error: [next.trend], updates: [updates + 1] };
}

const withinRange = (t: number): number => Math.min(THRESHOLD_RANGE.highest, Math.max(THRESHOLD_RANGE.lowest, t));
