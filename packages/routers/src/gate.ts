// The gate: logits and their softmax, in float32 whatever the model runs in (Eq. 1). It chooses nothing; the routers do.
import { cast, matmul, select, softmax, type Tensor } from '@xmoe/core';
import { asColumn } from './router.js';

/** Gate logits h·W without bias: h [T, d] of any float dtype, weight float32 [d, N] → float32 [T, N]. */
export function gate(h: Tensor, weight: Tensor): Tensor {
  return matmul(cast(h, 'float32'), cast(weight, 'float32'));
}

/** p = softmax(logits) [T, N]; rows of padding are 0. */
export function gateProbabilities(logits: Tensor, mask: Tensor | null = null): Tensor {
  const p = softmax(logits);
  return mask ? select(asColumn(mask), p, 0) : p;
}
