// The forced-uniform router: a perfectly even load for benchmarks. It ignores what the gate prefers; not for training.
import { remainder, takeAlongLast } from '@xmoe/core';
import { probabilitiesOf } from './gate.js';
import { flag, integer, readOptions, type OptionsOf } from './options.js';
import { MOST_EXPERTS } from './reference/checks.js';
import { defineRouter, fixedChoices, type Router } from './router.js';
import { gateLosses, mostProbable, requireChoices } from './softmax-routing.js';

export const UNIFORM_OPTIONS = {
  /** Experts per token, 1 to N. */
  k: integer(1, MOST_EXPERTS).withinExperts(),
  /**
   * true (default): weights are p and the losses those of the gate, so that a timed step pays for the gate and its gradient
   * as a real router does. false: no gate, weights 1/k.
   */
  gate: flag(true),
};

export type UniformRouterOptions = OptionsOf<typeof UNIFORM_OPTIONS>;

/** Token t takes experts (t·k + j) mod N, j = 0 … k − 1. @throws XMoEError when k is not a positive integer. */
export function createUniformRouter(options: UniformRouterOptions): Router {
  const { k, gate: usesGate } = readOptions('uniform router', UNIFORM_OPTIONS, options);
  return defineRouter({
    name: 'uniform',
    usesGate,
    maxChoices: (experts) => requireChoices('k', 'uniform', k, experts),
    choose(input) {
      const { engine, tokens, experts } = input;
      const ids = engine.alias(remainder(engine.iota(tokens * k), experts), [tokens, k]);
      const chosen = fixedChoices(input, ids);
      if (!usesGate) {
        const weights = engine.full([tokens, k], 1 / k);
        return { ...chosen, weights, probabilities: null, balanceLoss: null, zLoss: null, priority: 'rank' };
      }
      const p = probabilitiesOf(input.logits!, input.mask);
      const weights = takeAlongLast(p, ids);
      return { ...chosen, weights, probabilities: p, ...gateLosses(input, p, () => mostProbable(input, p)), priority: 'rank-probability' };
    },
  });
}
