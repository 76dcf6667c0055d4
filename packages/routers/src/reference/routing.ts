// What every router returns. No router and no capacity here.
import type { Gate } from './gate.js';
import { balanceLoss, zLoss } from './losses.js';

/**
 * How claims compete for an expert. `probability`: by rank, then larger weight, then lower token (Section 3.2).
 * `rank`: by rank, then lower token, to study the published top-k baseline.
 */
export type Priority = 'probability' | 'rank';

/** What a weight is a function of, which decides its gradient: p of the chosen expert, sigmoid(logit), or a constant. */
export type WeightSource = 'softmax' | 'sigmoid' | 'constant';

/** The choices of every token of one routing group, in rank order. */
export interface Routing {
  /** T. */
  readonly tokens: number;
  /** N. */
  readonly experts: number;
  /** K: the columns of `expertIds` and `weights`. */
  readonly maxChoices: number;
  /** [T, K]: the expert of choice 0, 1, …; −1 from `counts[token]` on. */
  readonly expertIds: Int32Array;
  /** [T, K]: the weight of each choice, never re-normalised (Eq. 2); 0 beyond the count. */
  readonly weights: Float64Array;
  /** [T]: how many experts the token wants; 0 exactly for padding tokens. */
  readonly counts: Int32Array;
  /** [T, N]: p; 0 for padding tokens; one-hot for the hash router. */
  readonly probabilities: Float64Array;
  /** The unscaled load-balance loss; 0 for the hash and BASE routers. */
  readonly auxLoss: number;
  /** The unscaled router z-loss; 0 for the hash router. */
  readonly zLoss: number;
  readonly weightSource: WeightSource;
  readonly priority: Priority;
}

export interface RoutingParts {
  readonly maxChoices: number;
  readonly weightSource: WeightSource;
  readonly priority?: Priority;
  /** The experts of a real token, best first. */
  readonly choose: (token: number) => readonly number[];
  readonly weight: (token: number, expert: number) => number;
}

/** Fills a {@link Routing} token by token; padding tokens get no choice. */
export function buildRouting(gate: Gate, parts: RoutingParts): Routing {
  const { tokens, experts, probabilities } = gate;
  const K = parts.maxChoices;
  const expertIds = new Int32Array(tokens * K).fill(-1); // [T, K]
  const weights = new Float64Array(tokens * K); // [T, K]
  const counts = new Int32Array(tokens);
  for (let token = 0; token < tokens; token++) {
    if (gate.mask[token] === 0) continue;
    const chosen = parts.choose(token);
    counts[token] = chosen.length;
    chosen.forEach((expert, rank) => {
      expertIds[token * K + rank] = expert;
      weights[token * K + rank] = parts.weight(token, expert);
    });
  }
  const { weightSource, priority = 'probability' } = parts;
  return {
    tokens,
    experts,
    maxChoices: K,
    expertIds,
    weights,
    counts,
    probabilities,
    auxLoss: weightSource === 'softmax' ? balanceLoss(gate) : 0,
    zLoss: weightSource === 'constant' ? 0 : zLoss(gate),
    weightSource,
    priority,
  };
}

/** One row of a [T, N] array. */
export function rowOf(values: Float64Array, row: number, N: number): Float64Array {
  return values.subarray(row * N, (row + 1) * N);
}
