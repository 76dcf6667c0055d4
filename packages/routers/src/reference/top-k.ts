// The top-k and Switch routers: a fixed number of experts per token.
import { hostUniform, requireFlag, requireInteger, requireOptions, requireRandomKey, type RandomKey } from '@xmoe/core';
import { type GateOptions, rankExperts, softmaxGate } from './gate.js';
import type { Logits } from './logits.js';
import { type Routing, buildRouting, rowOf, softmaxSource } from './routing.js';

export interface TopKOptions extends GateOptions {
  /** Experts per token, 1 to N. */
  readonly k: number;
  /** With a key, ranks 2 … k are drawn by Gumbel noise on the logits; rank 1 stays the most probable expert. */
  readonly noiseKey?: RandomKey;
  /** Claims compete by rank and token only, as in the published baseline. Default false. */
  readonly rankOnlyPriority?: boolean;
  /** Divide the weights of a token by their sum. Default false (Eq. 2). */
  readonly renormalize?: boolean;
  /** Each chosen expert has the weight 1/N. Default false (Eq. 2). */
  readonly equalWeights?: boolean;
}

/**
 * Standard Gumbel numbers −log(−log u), rounded to float32; u is element i of the uniform numbers of `key`, at least
 * 2^-25 so that none is infinite.
 */
export function gumbelNoise(key: RandomKey, length: number): Float32Array {
  return hostUniform(key, length).map((u) => -Math.log(-Math.log(Math.max(u, 2 ** -25))));
}

/**
 * The k most probable experts of each token. `logits` [T, N] → {@link Routing} with K = k; weights are p (Eq. 2), or 1/N with `equalWeights`.
 * @throws XMoEError when `k` is not an integer from 1 to N, or on bad logits or mask.
 */
export function routeTopK(logits: Logits, options: TopKOptions): Routing {
  requireOptions('route', options);
  const gate = softmaxGate(logits, options);
  const { tokens: T, experts: N, probabilities } = gate;
  const k = requireInteger('route', 'k', options.k, 1, N);
  const { noiseKey } = options;
  const rankOnly = requireFlag('route', 'rankOnlyPriority', options.rankOnlyPriority ?? false);
  const renormalize = requireFlag('route', 'renormalize', options.renormalize ?? false);
  const equalWeights = requireFlag('route', 'equalWeights', options.equalWeights ?? false);
  const noise = noiseKey === undefined ? undefined : gumbelNoise(requireRandomKey('route', 'noiseKey', noiseKey), T * N); // [T, N]
  return buildRouting(gate, {
    maxChoices: k,
    weightSource: softmaxSource({ renormalize, equalWeights }),
    priority: rankOnly ? 'rank' : 'rank-probability',
    choose: (token) => {
      const ranked = rankExperts(rowOf(probabilities, token, N));
      if (noise === undefined) return ranked.slice(0, k);
      const [first] = ranked;
      const noisy = rowOf(gate.logits, token, N).map((logit, expert) => Math.fround(logit + noise[token * N + expert]));
      return [first, ...rankExperts(noisy).filter((expert) => expert !== first)].slice(0, k);
    },
    weight: (token, expert) => probabilities[token * N + expert],
  });
}

/** The Switch router (Fedus et al., 2021): top-1 with weight p. */
export function routeSwitch(logits: Logits, options: Omit<TopKOptions, 'k' | 'noiseKey' | 'equalWeights'> = {}): Routing {
  requireOptions('route', options);
  return routeTopK(logits, { ...options, k: 1, noiseKey: undefined });
}
