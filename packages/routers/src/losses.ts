// The routers' auxiliary losses, unscaled: the layer applies the coefficients. Padding does not enter.
import {
  argMax, bincount, broadcastTo, cast, customGradient, divide, greater, logSumExp, matmul, maximum, multiply, reshape, select, slice, square, sum,
  type Tensor,
} from '@xmoe/core';
import { requireRows, withoutPadding } from './router.js';

/**
 * The load-balance loss N · Σ_i f_i · P_i over the real tokens, float32 []: 1 when balanced, N at worst (appendix A.2 as
 * the published code computes it). f_i, the share of tokens whose most probable expert is i, has no gradient.
 * @param p [T, N]
 * @param mask bool [T]: false marks padding
 */
export function balanceLoss(p: Tensor, mask: Tensor | null = null): Tensor {
  requireRows(p, mask);
  const { engine } = p;
  return engine.scope(() => {
    const clean = withoutPadding(p, mask);
    const top = engine.noGrad(() => (mask ? select(mask, argMax(p), -1) : argMax(p)));
    return balanceLossOf(clean, top, mask);
  });
}

/** The most probable expert of each token, int32 [T], from choices [T, K] in rank order. */
export function firstChoice(expertIds: Tensor): Tensor {
  const [tokens, choices] = expertIds.shape as [number, number];
  const { engine } = expertIds;
  return engine.alias(choices === 1 ? expertIds : slice(expertIds, [0, 0], [tokens, 1]), [tokens]);
}

/**
 * As {@link balanceLoss}, from p with zero rows for padding and the top choices int32 [T], −1 for padding. With `known`, how often each
 * expert was a top choice of other tokens, float32 [N], f is of those, unless there are none.
 */
export function balanceLossOf(p: Tensor, top: Tensor, mask: Tensor | null, known: Tensor | null = null): Tensor {
  const [tokens, experts] = p.shape as [number, number];
  const { engine } = p;
  return customGradient(
    'balanceLoss',
    [p],
    () =>
      engine.scope(() => {
        // By p_i of any token the loss grows with N·f_i / real = N·count_i / real².
        const counts = cast(bincount(top, experts), 'float32');
        const own = mask ? divide(multiply(counts, experts), square(realTokens(mask))) : multiply(counts, experts / Math.max(1, tokens) ** 2);
        const slope = known ? slopeOf(known, own, mask ? realTokens(mask) : Math.max(1, tokens)) : own;
        const loss = matmul(reshape(sum(p, 0), [1, experts]), reshape(slope, [experts, 1]));
        return { outputs: engine.alias(loss, []), saved: [slope] };
      }),
    ([dy], [slope]) => [broadcastTo(multiply(slope!, dy!), [tokens, experts])],
  );
}

/** N·f_i / real with f of the counts [N]; `own` where they are all 0. */
function slopeOf(counts: Tensor, own: Tensor, real: Tensor | number): Tensor {
  const total = reshape(sum(counts), [1]);
  return select(greater(total, 0), divide(divide(multiply(counts, counts.size), maximum(total, 1)), real), own);
}

/** The router z-loss: the mean over real tokens of (log Σ_i exp(logit_i))², float32 [] (Zoph et al. 2022, Eq. 5). */
export function zLoss(logits: Tensor, mask: Tensor | null = null): Tensor {
  requireRows(logits, mask);
  return logits.engine.scope(() => zLossOf(withoutPadding(logits, mask), mask));
}

/** As {@link zLoss}, from logits that are 0 for padding. */
export function zLossOf(logits: Tensor, mask: Tensor | null): Tensor {
  return logits.engine.scope(() => {
    const squares = square(logSumExp(logits)); // [T]
    if (!mask) return divide(sum(squares), Math.max(1, squares.size));
    return divide(sum(select(reshape(mask, squares.shape), squares, 0)), realTokens(mask));
  });
}

/** How many tokens are not padding, at least 1: float32 []. */
function realTokens(mask: Tensor): Tensor {
  return maximum(sum(cast(mask, 'float32')), 1);
}
