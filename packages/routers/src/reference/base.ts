// The BASE router (Lewis et al., 2021): balanced assignment in training, argmax in evaluation. The solver is auction.ts.
import { requireFlag, requireOptions } from '@xmoe/core';
import { auctionAssign } from './auction.js';
import { type GateOptions, argmax, softmaxGate } from './gate.js';
import type { Logits } from './logits.js';
import { type Routing, buildRouting, rowOf } from './routing.js';

export interface BaseOptions extends GateOptions {
  /** true: balanced linear assignment over the group. false (default): each token's largest logit. */
  readonly training?: boolean;
  /** The auction's step in logit units; its total is within T·epsilon of the optimum. Default: as {@link auctionAssign}. */
  readonly epsilon?: number;
}

/**
 * Routes by BASE: one expert per token, weight sigmoid(logit), no auxiliary loss. `logits` [T, N] → {@link Routing} with
 * K = 1. In training every expert gets ⌊T/N⌋ or ⌈T/N⌉ of the real tokens.
 * @throws XMoEError on bad logits, mask, `training` or `epsilon`.
 */
export function routeBase(logits: Logits, options: BaseOptions = {}): Routing {
  requireOptions('route', options);
  const training = requireFlag('route', 'training', options.training ?? false);
  const gate = softmaxGate(logits, options);
  const { tokens: T, experts: N, mask } = gate;
  const assigned = training && auctionAssign(gate.logits, T, N, { mask, epsilon: options.epsilon });
  return buildRouting(gate, {
    maxChoices: 1,
    weightSource: 'sigmoid',
    choose: (token) => [assigned ? assigned[token] : argmax(rowOf(gate.logits, token, N))],
    weight: (token, expert) => {
      const weight = 1 / (1 + Math.exp(-gate.logits[token * N + expert]));
      return gate.precision === 'float32' ? Math.fround(weight) : weight;
    },
  });
}
