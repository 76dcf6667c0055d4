// The part of the contract that computes experts on dispatched rows. What a primitive is, and how operands are meant, is said in contract.ts.
import type { Activation, Operand } from './contract.js';

/** Fused primitives of the experts of a layer. */
export interface ExpertKernels {
  /**
   * out[r] = activation(x[rows[r]] · w[g] + bias[g]) for the rows r of segment g (offsets[g] ≤ r < offsets[g+1]): a grouped matmul
   * with gather on load, and bias and activation in its epilogue. Zero (out and pre) where rows[r] is outside 0 … X−1 and from
   * offsets[G] on; such rows should cost nothing.
   * x [X, K]; rows int32 [R], or null for r itself (X = R); w [G, K, M] ([G, M, K] if transposeW); bias float32 or x's dtype
   * [G, M], or null; offsets int32 [G + 1] ascending from 0; out [R, M]; pre [R, M], or null: what the activation was applied to.
   */
  groupedLinear(
    inputs: { x: Operand; rows: Operand | null; w: Operand; bias: Operand | null; offsets: Operand },
    outputs: { out: Operand; pre: Operand | null }, attributes: { transposeW: boolean; activation: Activation },
  ): void;
  /**
   * dw[g] = Σ_r scale[r] · x[xRows[r]]ᵀ · dy[dyRows[r]] and dbias[g] = Σ_r scale[r] · dy[dyRows[r]] over the rows r of segment g,
   * ascending r; zero for an empty segment. An index outside is a row of zeros.
   * x [X, K], dy [Y, M], xRows and dyRows int32 [R], or null for r itself, scale float32 [R] or null for 1, offsets int32 [G + 1],
   * dw [G, K, M] and dbias [G, M] (or null) float32 or x's dtype.
   */
  groupedLinearWeightGrad(
    inputs: { x: Operand; xRows: Operand | null; dy: Operand; dyRows: Operand | null; scale: Operand | null; offsets: Operand },
    outputs: { dw: Operand; dbias: Operand | null },
  ): void;
  /**
   * The middle of the experts' backward pass, from what goes into the activation instead of saved expert outputs. For row r of
   * expert g with claim c = rowClaim[r] of token t, h = activation(pre[r]) and u = dHidden[r], which is dy[t] · w2[g]ᵀ without the
   * claim's weight: hidden[r] = h; dPre[r] = u ∘ activation'(pre[r]), without the weight too: its readers scale by row;
   * dWeights[c] = h·u + b2[g]·dy[t]; rowWeight[r] = weights[c]. All zero for an empty row; dWeights 0 for a claim without a row.
   * pre, dHidden, dPre, hidden [R, S]; weights, dWeights float32 [T, K]; b2 float32 or pre's dtype [G, D]; dy [T, D];
   * rowClaim int32 [R]; claimRow int32 [T, K]; offsets int32 [G + 1]; rowWeight float32 [R]. dWeights may be null: not wanted,
   * and b2, dy, claimRow and offsets are not read.
   */
  expertsGrad(
    inputs: { pre: Operand; dHidden: Operand; weights: Operand; b2: Operand; dy: Operand; rowClaim: Operand; claimRow: Operand; offsets: Operand },
    outputs: { dPre: Operand; hidden: Operand; dWeights: Operand | null; rowWeight: Operand }, attributes: { activation: Activation },
  ): void;
  /**
   * The experts on dispatched rows: out[r] = hidden[r] · w2[g] + b2[g], hidden[r] = activation(pre[r]), pre[r] = x[rowToken[r]] · w1[g] + b1[g] for
   * the rows r of segment g. All zero for an empty row (rowToken −1) and after the last segment; such rows should cost nothing.
   * x [T, D]; rowToken int32 [R]; rowSelf int32 [R]: r, or −1 for an empty row; null where empty rows come last; w1 [G, D, S] and w2 [G, S, D] in
   * x's dtype; b1 [G, S] and b2 [G, D] float32 or x's dtype; offsets int32 [G + 1]; out [R, D]; pre and hidden [R, S], or null: not wanted.
   */
  expertsForward(
    inputs: { x: Operand; rowToken: Operand; rowSelf: Operand | null; w1: Operand; b1: Operand; w2: Operand; b2: Operand; offsets: Operand },
    outputs: { out: Operand; pre: Operand | null; hidden: Operand | null }, attributes: { activation: Activation },
  ): void;
  /**
   * The gradients of what expertsForward and combineExperts compute, for dy [T, D]: dHidden[r] = dy[rowToken[r]] · w2[g]ᵀ, from it expertsGrad, and
   * rowGradients[r] = dPre[r] · w1[g]ᵀ, without the claim's weight, with which combineExperts makes the gradient of x of them; dw1, db1, dw2 and
   * db2 as by groupedLinearWeightGrad, with it. Operands as there and in expertsForward; dw1 [G, D, S], dw2 [G, S, D], db1 [G, S] and db2 [G, D]
   * float32 or x's dtype. Each output may be null: not wanted. rowGradients is zero where no row is.
   */
  expertsBackward(
    inputs: {
      x: Operand; pre: Operand; weights: Operand; w1: Operand; w2: Operand; b2: Operand; dy: Operand;
      rowToken: Operand; rowSelf: Operand | null; rowClaim: Operand; claimRow: Operand; offsets: Operand;
    },
    outputs: {
      rowGradients: Operand | null; dWeights: Operand | null; dw1: Operand | null; db1: Operand | null; dw2: Operand | null; db2: Operand | null;
    },
    attributes: { activation: Activation },
  ): void;
  /**
   * out[t] = Σ_j weights[t, j] · expertOut[claimRow[t, j]] (skipping −1). expertOut [R, D], weights float32 [T, K],
   * claimRow int32 [T, K], rowClaim int32 [R] (its inverse: t·K + j of each row, −1 for an empty row), out [T, D].
   */
  combineExperts(inputs: { expertOut: Operand; weights: Operand; claimRow: Operand; rowClaim: Operand }, outputs: { out: Operand }): void;
  /** dExpertOut[r] = weight · dy[token], zero for an empty row; dWeights[t, j] = expertOut[row]·dy[t], 0 where −1. */
  combineExpertsGrad(
    inputs: { expertOut: Operand; weights: Operand; claimRow: Operand; rowClaim: Operand; dy: Operand },
    outputs: { dExpertOut: Operand; dWeights: Operand },
  ): void;
}
