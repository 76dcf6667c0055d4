// A router by the choice of the experts, on plain arrays and on tensors: each takes the tokens that are surest of it, so that a real token may
// be left to none. For tests; on backends that read synchronously.
import { defineRouter, gateProbabilities, type Router } from '@xmoe/routers';
import { type FlatLogits, type GateOptions, type Routing, softmaxGate } from '@xmoe/routers/reference';
import { buildRouting } from '../../routers/src/reference/routing.js';

/** By token the experts that take it, by falling p: each of `experts` takes `capacity` real tokens. p [T, N]. */
function takers(p: ArrayLike<number>, mask: ArrayLike<number>, experts: number, capacity: number): number[][] {
  const real = Array.from(mask, (one, token) => (one ? token : -1)).filter((token) => token >= 0);
  const taken = Array.from(mask, (): number[] => []);
  for (let expert = 0; expert < experts; expert++) {
    const best = [...real].sort((a, b) => p[b * experts + expert]! - p[a * experts + expert]! || a - b);
    for (const token of best.slice(0, capacity)) taken[token]!.push(expert);
  }
  return taken.map((list, token) => list.sort((a, b) => p[token * experts + b]! - p[token * experts + a]! || a - b));
}

export function routeExpertChoice(logits: FlatLogits, { capacity, ...options }: GateOptions & { capacity: number }): Routing {
  const gate = softmaxGate(logits, options);
  const chosen = takers(gate.probabilities, gate.mask, gate.experts, capacity);
  return buildRouting(gate, {
    maxChoices: gate.experts, weightSource: 'softmax', choose: (token) => chosen[token]!, weight: (token, expert) => gate.probabilities[token * gate.experts + expert]!,
  });
}

export function createExpertChoiceRouter(capacity: number): Router {
  return defineRouter({
    name: 'expert choice',
    usesGate: true,
    maxChoices: (experts) => experts,
    choose({ engine, logits, mask, tokens, experts }) {
      const p = gateProbabilities(logits!, mask);
      const values = p.dataSync();
      const chosen = takers(values, mask?.dataSync() ?? new Uint8Array(tokens).fill(1), experts, capacity);
      const padded = <T>(pick: (token: number, expert: number) => T, otherwise: T): T[] =>
        chosen.flatMap((list, token) => Array.from({ length: experts }, (_, rank) => (rank < list.length ? pick(token, list[rank]!) : otherwise)));
      return {
        expertIds: engine.tensor(padded((_, expert) => expert, -1), [tokens, experts], 'int32'),
        weights: engine.tensor(padded((token, expert) => values[token * experts + expert]!, 0), [tokens, experts]),
        counts: engine.tensor(chosen.map(({ length }) => length), [tokens], 'int32'),
        full: false,
        probabilities: p,
        balanceLoss: null,
        zLoss: null,
        priority: 'rank-probability',
      };
    },
  });
}
