// What a gate is taught of the layer that its experts make up: which of them a token needs. Not the routing, and no weights of experts.
import { biasActivation, cast, concat, divide, log, matmulWeight, maximum, multiply, reshape, select, slice, square, subtract, sum, type Tensor } from '@xmoe/core';
import type { ExpertActivation, ExpertWeights } from './experts.js';

/** Below, a probability counts as this much where its logarithm is taken. */
const LEAST = 1e-9;

/**
 * The share of each expert in what all of them make of a token: ‖E_i(x)‖² over their sum, float32 [T, N]; 0 for padding. Of experts whose
 * outputs are at right angles, those left out are this share of the squared error. All experts are computed for all tokens, one at a time; no gradient.
 */
export function contributions(x: Tensor, { w1, b1, w2, b2 }: ExpertWeights, activation: ExpertActivation, mask: Tensor | null): Tensor {
  const { engine } = x;
  const [experts, width, hidden] = w1.shape as [number, number, number];
  return engine.noGrad(() => engine.scope(() => {
    const real = mask && reshape(mask, [mask.size, 1]);
    const clean = real ? select(real, x, 0) : x;
    const part = (of: Tensor, expert: number, shape: number[]): Tensor => reshape(slice(of, [expert, ...shape.map(() => 0)], [1, ...shape]), shape);
    const norms = Array.from({ length: experts }, (_, expert) => engine.scope(() => {
      const units = biasActivation(matmulWeight(clean, part(w1, expert, [width, hidden])), part(b1, expert, [hidden]), activation);
      const output = biasActivation(matmulWeight(units, part(w2, expert, [hidden, width])), part(b2, expert, [width]), 'none');
      return sum(square(cast(output, 'float32')), -1, { keepAxes: true }); // [T, 1]
    }));
    const all = concat(norms, 1);
    const shares = divide(all, maximum(sum(all, -1, { keepAxes: true }), LEAST));
    return real ? select(real, shares, 0) : shares;
  }));
}

/**
 * The mean over real tokens of KL(q ‖ p) in nats, float32 []: 0 where the probabilities p [T, N] are the shares q [T, N]. Its gradient is by p
 * alone. Rows of padding are 0 in both.
 */
export function distillationLoss(p: Tensor, q: Tensor, mask: Tensor | null): Tensor {
  const { engine } = p;
  const logOf = (x: Tensor): Tensor => log(maximum(x, LEAST));
  return engine.scope(() => {
    const own = engine.noGrad(() => logOf(q));
    const tokens = mask ? engine.noGrad(() => maximum(sum(cast(mask, 'float32')), 1)) : Math.max(1, p.shape[0]!);
    return divide(sum(multiply(q, subtract(own, logOf(p)))), tokens);
  });
}
