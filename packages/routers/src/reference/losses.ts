// The routers' auxiliary losses on plain arrays, unscaled: callers apply the coefficients. Gradients live in @xmoe/moe/reference.
import { type Gate, argmax, rowLogSumExp } from './gate.js';

/** The part of a gate that the balance loss needs. */
export type GateProbabilities = Pick<Gate, 'tokens' | 'experts' | 'probabilities' | 'mask'>;

/** How many tokens of the gate are not padding. */
export function countRealTokens(gate: Pick<Gate, 'mask'>): number {
  return gate.mask.reduce((sum, real) => sum + real, 0);
}

/** f [N]: the share of real tokens whose most probable expert is i, before capacity. All 0 without a real token. */
export function topChoiceShare(gate: GateProbabilities): Float64Array {
  const share = new Float64Array(gate.experts);
  const real = countRealTokens(gate);
  for (let token = 0; token < gate.tokens; token++) {
    if (gate.mask[token] === 0) continue;
    share[argmax(gate.probabilities.subarray(token * gate.experts, (token + 1) * gate.experts))] += 1 / real;
  }
  return share;
}

/** P [N]: the mean over real tokens of p_i. All 0 without a real token. */
export function meanProbability(gate: GateProbabilities): Float64Array {
  const mean = new Float64Array(gate.experts);
  const real = countRealTokens(gate);
  for (let index = 0; index < gate.probabilities.length && real > 0; index++) {
    mean[index % gate.experts] += gate.probabilities[index] / real;
  }
  return mean;
}

/**
 * The load-balance loss N · Σ_i f_i · P_i over the real tokens (appendix A.2 as the published code computes it): 1 when
 * balanced, N at worst. The usual coefficient is 0.01.
 */
export function balanceLoss(gate: GateProbabilities): number {
  const mean = meanProbability(gate);
  return gate.experts * topChoiceShare(gate).reduce((sum, share, expert) => sum + share * mean[expert], 0);
}

/** The router z-loss: the mean over real tokens of (log Σ_i exp(logit_i))² (Zoph et al., 2022, Eq. 5). */
export function zLoss(gate: Gate): number {
  const real = countRealTokens(gate);
  let sum = 0;
  for (let token = 0; token < gate.tokens; token++) {
    if (gate.mask[token] === 0) continue;
    sum += rowLogSumExp(gate.logits.subarray(token * gate.experts, (token + 1) * gate.experts)).value ** 2 / real;
  }
  return sum;
}
