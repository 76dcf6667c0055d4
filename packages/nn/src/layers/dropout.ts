// Dropout of a named site: the site's name is the random stream, the step's key is in the context.
import { dropout, hashName, type ForwardContext, type Tensor } from '@xmoe/core';

/** Drops elements of x at `rate` while training; the identity otherwise. */
export function dropoutAt(site: string, x: Tensor, rate: number, context: ForwardContext): Tensor {
  if (!context.training || rate === 0 || !context.key) return x;
  return dropout(x, context.key, { rate, stream: hashName(site) });
}
