// The controlled threshold on plain arrays: routing by a t that is given, and the controller that moves it.
import { requireFinite, requireOptions } from '@xmoe/core';
import type { Logits } from './logits.js';
import type { PlainState, Routing } from './routing.js';
import { routeThreshold, type ThresholdOptions } from './threshold.js';

export interface ControlledThresholdOptions extends Omit<ThresholdOptions, 'threshold'> {
  readonly initialThreshold?: number;
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
}

/** Routes by threshold, with the t of `state`; in training also what the state moves by: `claims` and `tokens`. @throws as {@link routeThreshold} */
export function routeControlledThreshold(logits: Logits, options: ControlledThresholdOptions): Routing {
  requireOptions('route', options);
  const { initialThreshold = 0.3, threshold, training = false, state, mask, precision, maxExpertsPerToken, renormalize } = options;
  const t = (training ? undefined : threshold) ?? state?.threshold?.[0] ?? initialThreshold;
  const routing = routeThreshold(logits, { mask, precision, maxExpertsPerToken, renormalize, threshold: t });
  return training ? { ...routing, statistics: controllerStatistics(routing) } : routing;
}

function controllerStatistics({ counts, mask }: Routing): PlainState {
  const total = (numbers: ArrayLike<number>): number => Array.from(numbers).reduce((sum, number) => sum + number, 0);
  return { claims: [total(counts)], tokens: [total(mask)] };
}

/**
 * The state after an update: with e = (target − claims / tokens) / target, t ← clamp(t + proportional·(e − e₋₁) + integral·e, 0.01, 0.999),
 * the first time without e − e₋₁. Without a token nothing changes.
 */
export function nextControlledThreshold(options: ControllerOptions, state: PlainState, sums: PlainState): PlainState {
  const { proportional = 0.02, integral = 0.01 } = options;
  const target = requireFinite('nextControlledThreshold', 'target', options.target);
  const [tokens, claims, t, before, updates] = [sums.tokens, sums.claims, state.threshold, state.error, state.updates].map((numbers) => numbers![0]!);
  if (tokens === 0) return state;
  const error = (target - claims / tokens) / target;
  const moved = t + proportional * (updates > 0 ? error - before : 0) + integral * error;
  return { threshold: [Math.min(0.999, Math.max(0.01, moved))], error: [error], updates: [updates + 1] };
}
