// Engines and inputs that the tensor router tests share, and readers of their results. Not a test.
import { createEngine, type Engine } from '@xmoe/core';
import { createCpuBackend } from '@xmoe/backend-cpu';
import type { Router, RouterInput, Routing } from '@xmoe/routers';

export type Precision = 'float32' | 'float64';

export const cpuEngine = (accumulate: Precision = 'float32'): Engine => createEngine(createCpuBackend({ accumulate }));

export interface Group extends Partial<Omit<RouterInput, 'engine' | 'logits' | 'mask' | 'tokenIds' | 'tokens'>> {
  /** [T, N], or with further columns for null experts: `experts` is then N. */
  logits: readonly (readonly number[])[];
  mask?: readonly boolean[];
  tokenIds?: readonly number[];
}

/** Routes one group; every tensor dies with `engine`. */
export function routeOn(engine: Engine, router: Router, { logits, mask, tokenIds, ...rest }: Group): Routing {
  const [tokens, columns] = [logits.length, logits[0].length];
  const { experts = columns } = rest;
  return router.route({
    engine,
    tokens,
    logits: router.usesGate ? engine.tensor(logits.flat(), [tokens, columns], 'float32') : null,
    mask: mask ? engine.tensor(mask, [tokens], 'bool') : null,
    tokenIds: tokenIds ? engine.tensor([...tokenIds], [tokens], 'int32') : null,
    ...rest,
    experts,
  });
}

/** A routing as plain rows: per token its [expert, weight] in rank order. */
export async function choicesOf({ expertIds, weights, tokens, maxChoices }: Routing): Promise<[number, number][][]> {
  const [ids, w] = [await expertIds.data(), await weights.data()];
  return Array.from({ length: tokens }, (_, token) =>
    Array.from({ length: maxChoices }, (__, rank) => token * maxChoices + rank)
      .filter((index) => ids[index] >= 0)
      .map((index): [number, number] => [ids[index], w[index]]),
  );
}

/** The same of a plain-array routing. */
export function plainChoices(routing: { tokens: number; maxChoices: number; counts: Int32Array; expertIds: Int32Array; weights: Float64Array }): [number, number][][] {
  const { tokens, maxChoices, counts, expertIds, weights } = routing;
  return Array.from({ length: tokens }, (_, token) =>
    Array.from({ length: counts[token] }, (__, rank): [number, number] => [expertIds[token * maxChoices + rank], weights[token * maxChoices + rank]]),
  );
}
