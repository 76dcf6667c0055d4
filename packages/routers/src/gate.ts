// The gate: logits and their softmax, in float32 whatever the model runs in (Eq. 1). It chooses nothing; the routers do.
import { cast, matmul, softmax, type Tensor } from '@xmoe/core';
import { withoutPadding } from './router.js';

/**
 * Gate logits h·W without bias: h [T, d] of any float dtype, weight float32 [d, N] → float32 [T, N]. Rows of padding (mask bool [T])
 * count as 0, whatever they hold: 0 · NaN would reach the gradient of the weight.
 */
export function gate(h: Tensor, weight: Tensor, mask: Tensor | null = null): Tensor {
  return matmul(cast(withoutPadding(h, mask), 'float32'), cast(weight, 'float32'));
}

/** p = softmax(logits) [T, N]; rows of padding are 0, whatever the logits hold there. */
export function gateProbabilities(logits: Tensor, mask: Tensor | null = null): Tensor {
  return probabilitiesOf(withoutPadding(logits, mask), mask);
}

/** As {@link gateProbabilities}, from logits that are 0 for padding. */
export function probabilitiesOf(logits: Tensor, mask: Tensor | null = null): Tensor {
  return withoutPadding(softmax(logits), mask);
}
