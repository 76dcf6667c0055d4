// What routers on plain arrays are given and return. No router and no capacity here.
import type { RandomKey } from '@xmoe/core';
import type { ClaimPriority } from '../router.js';
import type { Gate } from './gate.js';
import type { Logits, Mask, Precision } from './logits.js';
import { balanceLoss, zLoss } from './losses.js';

/** A state of a router, or what it moves by, as numbers by name. */
export type PlainState = Readonly<Record<string, readonly number[]>>;

/** One routing group as data: what `RouterInput` is on tensors. */
export interface RouteGroup {
  /** [T, N]. The hash router needs it only to know N. */
  readonly logits?: Logits;
  /** [T]: false or 0 marks padding. */
  readonly mask?: Mask;
  /** Default float32. */
  readonly precision?: Precision;
  /** Balanced assignment of BASE and noise of top-k are of training. Default false. */
  readonly training?: boolean;
  /** Draws the noise of top-k; none without it. */
  readonly key?: RandomKey;
  /** [T]: the hash router routes by them. */
  readonly tokenIds?: readonly number[];
  /** N, for the hash router without logits. Default: the largest entry of its map plus one. */
  readonly experts?: number;
  /** C: claims one expert takes, for routers whose experts choose. */
  readonly capacity?: number;
  /** What a router with a state keeps. Default: its first state. */
  readonly state?: PlainState;
}

/**
 * What a weight is a function of, which decides its gradient: p of the chosen expert, or sigmoid(logit); either divided by the sum over the
 * token's chosen ones; 1/N, or 1 over their number, where a gate chooses and does not weigh; or a constant without a gate.
 */
export type WeightSource = 'softmax' | 'softmax-share' | 'sigmoid' | 'sigmoid-share' | 'equal' | 'equal-share' | 'constant';

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
  /** [T, K]: the weight of each choice; 0 beyond the count. */
  readonly weights: Float64Array;
  /** [T, K]: what claims compete with, the weight before any re-normalisation. */
  readonly scores: Float64Array;
  /** [T]: how many experts the token wants; 0 for padding tokens, and for a real one that no expert chooses. */
  readonly counts: Int32Array;
  /** [T]: 1 = real token, 0 = padding. */
  readonly mask: Uint8Array;
  /** [T, N]: p; 0 for padding tokens; the weights where there is no gate. */
  readonly probabilities: Float64Array;
  /** The unscaled load-balance loss; 0 for routers without one. */
  readonly balanceLoss: number;
  /** The unscaled router z-loss; 0 without a gate. */
  readonly zLoss: number;
  readonly weightSource: WeightSource;
  readonly priority: ClaimPriority;
  /** The router needs no balance loss. Absent: false. */
  readonly balancedByState?: boolean;
  /** Absent where there are none. */
  readonly nulls?: NullChoices;
  /** In training, what the state of the router moves by; absent without one. */
  readonly statistics?: PlainState;
}

/** Choices that stand for no expert. Weights are of the probabilities of all columns. */
export interface NullChoices {
  /** Of logits [T, N + Z]. */
  readonly gate: Gate;
  /** [T]: columns of the null experts that a token chose. */
  readonly ids: readonly (readonly number[])[];
}

export interface RoutingParts {
  readonly maxChoices: number;
  readonly weightSource: WeightSource;
  readonly priority?: ClaimPriority;
  readonly balancedByState?: boolean;
  readonly nulls?: NullChoices;
  /** The experts of a real token, in rank order. */
  readonly choose: (token: number) => readonly number[];
  /** Before any re-normalisation. */
  readonly weight: (token: number, expert: number) => number;
}

/** Fills a {@link Routing} token by token; padding tokens get no choice. */
export function buildRouting(gate: Gate, parts: RoutingParts): Routing {
  const { tokens, experts, probabilities } = gate;
  const { weightSource, priority = 'rank-probability', balancedByState = false, nulls } = parts;
  const K = parts.maxChoices;
  const expertIds = new Int32Array(tokens * K).fill(-1); // [T, K]
  const scores = new Float64Array(tokens * K); // [T, K]
  const weights = new Float64Array(tokens * K); // [T, K]
  const counts = new Int32Array(tokens);
  for (let token = 0; token < tokens; token++) {
    if (gate.mask[token] === 0) continue;
    const chosen = parts.choose(token);
    counts[token] = chosen.length;
    const own = (expert: number): number => (weightSource.startsWith('equal') ? 1 / experts : parts.weight(token, expert));
    const shared = [...chosen, ...(nulls?.ids[token] ?? [])];
    const total = weightSource.endsWith('-share') ? shared.reduce((sum, expert) => sum + own(expert), 0) : 1;
    chosen.forEach((expert, rank) => {
      expertIds[token * K + rank] = expert;
      scores[token * K + rank] = parts.weight(token, expert);
      weights[token * K + rank] = own(expert) / total;
    });
  }
  return {
    tokens,
    experts,
    maxChoices: K,
    expertIds,
    weights,
    scores,
    counts,
    mask: gate.mask,
    probabilities,
    balanceLoss: /^(softmax|equal)/.test(weightSource) && !balancedByState ? balanceLoss(gate) : 0,
    zLoss: weightSource === 'constant' ? 0 : zLoss(nulls?.gate ?? gate),
    weightSource,
    priority,
    ...(balancedByState ? { balancedByState } : {}),
    ...(nulls ? { nulls } : {}),
  };
}

/** Of a softmax router. */
export function softmaxSource({ renormalize, equalWeights }: { readonly renormalize: boolean; readonly equalWeights: boolean }): WeightSource {
  if (equalWeights) return renormalize ? 'equal-share' : 'equal';
  return renormalize ? 'softmax-share' : 'softmax';
}

/** One row of a [T, N] array. */
export function rowOf(values: Float64Array, row: number, N: number): Float64Array {
  return values.subarray(row * N, (row + 1) * N);
}
