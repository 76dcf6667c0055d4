// Scores of a gate on plain arrays: sigmoid or softmax of the logits.
import { requireFlag, requireName } from '@xmoe/core';
import type { Gate } from './gate.js';
import type { ScoreName } from './histogram.js';
import type { WeightSource } from './routing.js';

export const SCORE_NAMES = ['sigmoid', 'softmax'] as const satisfies readonly ScoreName[];

export interface ScoreOptions {
  /** Default sigmoid. */
  readonly scores?: ScoreName;
  /** Divide the weights of a token by their sum. Default true. */
  readonly renormalize?: boolean;
}

/** Scores [T, N], what weights made of them are a function of, and how numbers are rounded. */
export function scoresOfGate(gate: Gate, options: ScoreOptions): { values: Float64Array; weightSource: WeightSource; round: (value: number) => number } {
  const name = requireName('route', 'scores', options.scores ?? 'sigmoid', SCORE_NAMES);
  const share = requireFlag('route', 'renormalize', options.renormalize ?? true);
  const round = gate.precision === 'float32' ? Math.fround : (value: number): number => value;
  const values = name === 'softmax' ? gate.probabilities : gate.logits.map((logit) => round(1 / (1 + Math.exp(-logit))));
  return { values, weightSource: share ? `${name}-share` : name, round };
}
