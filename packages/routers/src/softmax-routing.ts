// What the routers that weigh by softmax share: the losses of a gate, and re-normalised weights. No selection here.
import { XMoEError, argMax, cast, divide, greaterEqual, multiply, select, sum, type Tensor } from '@xmoe/core';
import { balanceLossOf, firstChoice, zLossOf } from './losses.js';
import { flag } from './options.js';
import type { RouterInput, Routing } from './router.js';

export const SOFTMAX_OPTIONS = {
  /** Divide the weights of a token by their sum. Default false (Eq. 2). */
  renormalize: flag(false),
};

/**
 * Each chosen expert has the weight 1/N, whatever its probability, so that experts whose sum is a dense layer stay one (Eq. 4): probabilities
 * choose and do not weigh, and only losses of the gate train it. Default false (Eq. 2).
 */
export const EQUAL_WEIGHTS = flag(false);

/** The losses of a softmax router that were asked for. `top` int32 [T]: the most probable expert, −1 for padding. */
export function gateLosses(input: RouterInput, p: Tensor, top: () => Tensor): Pick<Routing, 'balanceLoss' | 'zLoss'> {
  const { mask = null, logits } = input;
  const losses = input.losses ?? { balance: true, z: true };
  return {
    balanceLoss: losses.balance ? balanceLossOf(p, top(), mask, input.firstChoices ?? null) : null,
    zLoss: losses.z ? zLossOf(logits!, mask) : null,
  };
}

/** {@link gateLosses} where the first choice is the most probable expert. */
export function rankedLosses(input: RouterInput, p: Tensor, expertIds: Tensor): Pick<Routing, 'balanceLoss' | 'zLoss'> {
  return gateLosses(input, p, () => firstChoice(expertIds));
}

/** The most probable expert, int32 [T]; −1 for padding. */
export function mostProbable({ engine, mask }: RouterInput, p: Tensor): Tensor {
  const top = argMax(p);
  return mask ? select(engine.alias(mask, top.shape), top, -1) : top;
}

/** weights [T, K] divided by the sum of the token's chosen ones, if asked for. */
export function weigh(weights: Tensor, expertIds: Tensor, full: boolean, renormalize: boolean): Tensor {
  if (!renormalize) return weights;
  if (full) return divide(weights, sum(weights, -1, { keepAxes: true }));
  const chosen = greaterEqual(expertIds, 0);
  const total = sum(select(chosen, weights, 0), -1, { keepAxes: true });
  // Padding has nothing to divide: 1 stands in for its total.
  return divide(weights, select(greaterEqual(firstColumn(expertIds), 0), total, 1));
}

/** Weights [T, K] that are p as {@link weigh} has them, or 1/N for each chosen one of N experts. */
export function weighEqually(p: Tensor, expertIds: Tensor, full: boolean, { equalWeights, renormalize, experts }: { equalWeights: boolean; renormalize: boolean; experts: number }): Tensor {
  if (!equalWeights) return weigh(p, expertIds, full, renormalize);
  const equal = full ? p.engine.full(p.shape, 1 / experts) : multiply(cast(greaterEqual(expertIds, 0), 'float32'), 1 / experts);
  return weigh(equal, expertIds, full, renormalize);
}

function firstColumn(expertIds: Tensor): Tensor {
  return expertIds.engine.alias(firstChoice(expertIds), [expertIds.shape[0]!, 1]);
}

/** Refuses a mean number of experts per token that `choices` per token cannot give; gives `choices`. */
export function requireTarget(router: string, target: number, choices: number): number {
  if (target <= choices) return choices;
  throw new XMoEError('value', `target is ${target}, a token takes at most ${choices} experts`, { op: `${router} router`, hint: `pass a number from 1 to ${choices}` });
}

/** Refuses a number of experts per token that the layer cannot give. */
export function requireChoices(name: string, router: string, k: number, experts: number): number {
  if (Number.isInteger(k) && k >= 1 && k <= experts) return k;
  throw new XMoEError('value', `${name} is ${k}, there are ${experts} experts`, { op: `${router} router`, hint: `pass an integer from 1 to ${experts}` });
}
