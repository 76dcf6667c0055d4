// The forced-uniform router: a perfectly even load for benchmarks. It ignores what the gate prefers; not for training.
import { requireFlag, requireInteger, requireOptions } from '@xmoe/core';
import { type GateOptions, softmaxGate } from './gate.js';
import type { Logits } from './logits.js';
import { type Routing, buildRouting } from './routing.js';

export interface UniformOptions extends GateOptions {
  /** Experts per token, 1 to N. */
  readonly k: number;
  /** false: no gate; weights are 1/k, and of the logits only the shape counts. Default true. */
  readonly gate?: boolean;
}

/**
 * Token t takes experts (t·k + j) mod N, j = 0 … k − 1. Weights are p and the losses are those of the gate, so that a
 * timed step pays for the gate and its gradient exactly as a real router does; without the gate, weights are 1/k.
 * @throws XMoEError when `k` is not an integer from 1 to N, or on bad logits or mask.
 */
export function routeUniform(logits: Logits, options: UniformOptions): Routing {
  requireOptions('route', options);
  const gate = softmaxGate(logits, options);
  const N = gate.experts;
  const k = requireInteger('route', 'k', options.k, 1, N);
  const usesGate = requireFlag('route', 'gate', options.gate ?? true);
  const chosen = (token: number): number[] => Array.from({ length: k }, (_, choice) => (token * k + choice) % N);
  const probabilities = usesGate ? gate.probabilities : new Float64Array(gate.tokens * N); // [T, N]
  for (let token = 0; token < gate.tokens && !usesGate; token++) {
    if (gate.mask[token] === 1) for (const expert of chosen(token)) probabilities[token * N + expert] = 1 / k;
  }
  return buildRouting({ ...gate, probabilities }, {
    maxChoices: k,
    weightSource: usesGate ? 'softmax' : 'constant',
    priority: usesGate ? 'rank-probability' : 'rank',
    choose: chosen,
    weight: (token, expert) => probabilities[token * N + expert],
  });
}
