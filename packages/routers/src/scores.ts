// Scores of a gate for routers that balance by their state: sigmoid or softmax of the logits. No selection here.
import { sigmoid, type Tensor } from '@xmoe/core';
import { probabilitiesOf } from './gate.js';
import { zLossOf } from './losses.js';
import { flag, names } from './options.js';
import type { ScoreName } from './reference/histogram.js';
import { SCORE_NAMES } from './reference/scores.js';
import type { RouterInput, Routing } from './router.js';

export const SCORE_OPTIONS = {
  /** What of the logits an expert is chosen and weighed by. Default sigmoid. */
  scores: names(SCORE_NAMES).or('sigmoid'),
  /** Divide the weights of a token by their sum. Default true. */
  renormalize: flag(true),
};

/** Scores [T, N], differentiable; those of padding mean nothing with sigmoid. The probabilities are those of a softmax alone. */
export function scoresOf({ logits, mask = null }: RouterInput, name: ScoreName): { scores: Tensor; probabilities: Tensor | null } {
  if (name === 'sigmoid') return { scores: sigmoid(logits!), probabilities: null };
  const p = probabilitiesOf(logits!, mask);
  return { scores: p, probabilities: p };
}

/** The losses of a router that needs none to balance. */
export function lossesOf({ logits, mask = null, losses }: RouterInput): Pick<Routing, 'balanceLoss' | 'zLoss'> {
  return { balanceLoss: null, zLoss: (losses?.z ?? true) ? zLossOf(logits!, mask) : null };
}
