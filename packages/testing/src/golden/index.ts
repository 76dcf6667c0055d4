// Golden numbers: inputs and outputs of the published gating functions and of a float64 layer, typed. Bundlers inline
// the JSON, so the loader also works in a browser. How each file is to be compared is in golden/README.md.
import baseSmall from '../../golden/base_T16_N4.json' with { type: 'json' };
import baseLarge from '../../golden/base_T64_N8.json' with { type: 'json' };
import hash from '../../golden/hash.json' with { type: 'json' };
import layer from '../../golden/layer.json' with { type: 'json' };
import thresholdSmall from '../../golden/threshold_T16_N4.json' with { type: 'json' };
import thresholdLarge from '../../golden/threshold_T64_N8.json' with { type: 'json' };
import topKSmall from '../../golden/topk_nonoise_T16_N4.json' with { type: 'json' };
import topKLarge from '../../golden/topk_nonoise_T64_N8.json' with { type: 'json' };

/** Row-major rows; the comment on each field gives the shape. */
export type Rows = readonly (readonly number[])[];

/** What every file about one set of logits shares. */
export interface GoldenLogits {
  readonly T: number;
  readonly N: number;
  /** [T, N], multiples of 1/64, distinct within a row. */
  readonly logits: Rows;
}

/** Statistics the published code reports: means over tokens, shares of tokens, percent of tokens per expert. */
export interface GoldenStatistics {
  readonly capacity: number;
  /** The unscaled load-balance loss. */
  readonly l_aux: number;
  /** Kept claims per token. */
  readonly chosen_num: number;
  readonly receive_percent: readonly number[];
}

export interface GoldenThresholdCase extends GoldenStatistics {
  readonly threshold: number;
  readonly gamma: number;
  readonly min_capacity: number;
  /** [token, expert, slot, weight]. */
  readonly kept: readonly (readonly [number, number, number, number])[];
  /** [token, expert]. */
  readonly wanted_pairs: readonly (readonly [number, number])[];
  readonly wanted_per_token: readonly number[];
  /** Mean of `wanted_per_token`. */
  readonly want_num: number;
  readonly top1_p_mean: number;
  /** Slots are comparable only where this exceeds 1e-5. */
  readonly min_slot_priority_gap: number;
}

export interface GoldenTopKCase extends GoldenStatistics {
  readonly k: number;
  readonly gamma: number;
  readonly min_capacity: number;
  /** [N, k]. */
  readonly received_by_expert_and_rank: Rows;
  /** [N, k]. */
  readonly kept_by_expert_and_rank: Rows;
  readonly capacity_binds: boolean;
  /** [token, expert, weight]; only where capacity does not bind. */
  readonly kept_pairs_weight?: readonly (readonly [number, number, number])[];
}

export interface GoldenBase extends GoldenLogits {
  readonly train: {
    readonly token_expert_weight: readonly (readonly [number, number, number])[];
    readonly score: number;
    readonly optimal_score: number;
    readonly epsilon: number;
  };
  readonly eval: readonly {
    readonly gamma: number;
    readonly capacity: number;
    readonly received: readonly number[];
    readonly kept: readonly number[];
  }[];
}

export interface GoldenHashCase {
  readonly T: number;
  readonly N: number;
  readonly gamma: number;
  readonly map: readonly number[];
  readonly token_ids: readonly number[];
  readonly capacity: number;
  readonly received: readonly number[];
  readonly kept: readonly number[];
}

/** Note the layouts: the router is [N, d], W1 [N, s, d] and W2 [N, d, s] here, the transposes of ours. */
export interface GoldenLayerCase {
  readonly T: number;
  readonly N: number;
  readonly d: number;
  /** s. */
  readonly ffn: number;
  readonly threshold: number;
  readonly gamma: number;
  readonly min_capacity: number;
  readonly capacity: number;
  readonly x: Rows;
  readonly router_weight: Rows;
  readonly w1: readonly Rows[];
  readonly b1: Rows;
  readonly w2: readonly Rows[];
  readonly b2: Rows;
  readonly upstream_grad: Rows;
  readonly y: Rows;
  readonly l_aux: number;
  /** [T, N]: the weight of each kept claim, else 0. */
  readonly combine_weights: Rows;
  /** Of sum(y · upstream) + 0.01 · l_aux. */
  readonly grad_x: Rows;
  readonly grad_router: Rows;
  /** [s, d]. */
  readonly grad_w1_expert0: Rows;
  readonly grad_b2_expert0: readonly number[];
  /** Of l_aux alone, without the coefficient. */
  readonly grad_aux_x: Rows;
  readonly grad_aux_router: Rows;
  readonly positive_share_routed_only: number;
  readonly dropped_tokens: readonly number[];
}

// The compiler infers JSON pairs as number[]; the casts state their length.
export const goldenThreshold = [thresholdSmall, thresholdLarge] as unknown as readonly (GoldenLogits & {
  readonly cases: readonly GoldenThresholdCase[];
})[];
export const goldenTopK = [topKSmall, topKLarge] as unknown as readonly (GoldenLogits & {
  readonly cases: readonly GoldenTopKCase[];
})[];
export const goldenBase = [baseSmall, baseLarge] as unknown as readonly GoldenBase[];
export const goldenHash = hash.cases as readonly GoldenHashCase[];
export const goldenLayer = layer.cases as readonly GoldenLayerCase[];
