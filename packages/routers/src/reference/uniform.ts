// The forced-uniform router: a perfectly even load for benchmarks. It ignores what the gate prefers; not for training.
import { requireInteger, requireOptions } from '@xmoe/core';
import { type GateOptions, softmaxGate } from './gate.js';
import type { Logits } from './logits.js';
import { type Routing, buildRouting } from './routing.js';

export interface UniformOptions extends GateOptions {
  /** Experts per token, 1 to N. */
  readonly k: number;
}

/**
 * Token t takes experts (t·k + j) mod N, j = 0 … k − 1. Weights are p and the losses are those of the gate, so that a
 * timed step pays for the gate and its gradient exactly as a real router does.
 * @throws XMoEError when `k` is not an integer from 1 to N, or on bad logits or mask.
 */
export function routeUniform(logits: Logits, options: UniformOptions): Routing {
  requireOptions('route', options);
  const gate = softmaxGate(logits, options);
  const N = gate.experts;
  const k = requireInteger('route', 'k', options.k, 1, N);
  return buildRouting(gate, {
    maxChoices: k,
    weightSource: 'softmax',
    choose: (token) => Array.from({ length: k }, (_, choice) => (token * k + choice) % N),
    weight: (token, expert) => gate.probabilities[token * N + expert],
  });
}
