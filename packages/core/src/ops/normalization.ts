// Softmax, log-softmax and layer normalisation with their gradients.
import { isFloat, type FloatDType } from '../dtype.js';
import type { Operand } from '../contract.js';
import type { Tensor } from '../tensor.js';
import { requireDType, requireExtent, requireFloat } from './check.js';
import { exp, log, multiply, subtract } from './elementwise.js';
import { max, sum } from './reduce.js';
import { reshape } from './movement.js';

/** x as [R, C] with C the last axis. */
function asRows(x: Tensor): Operand {
  const width = x.shape[x.rank - 1] ?? 1;
  return { buffer: x.buffer, shape: [width === 0 ? 0 : x.size / width, width], dtype: x.dtype };
}

/** Softmax of the last axis, computed in float32. `dtype` of the result: that of x by default. */
export function softmax(x: Tensor, options: { dtype?: FloatDType } = {}): Tensor {
  requireFloat('softmax', 'x', x);
  const out = x.engine.empty(x.shape, options.dtype ?? x.dtype);
  x.engine.kernels.softmax(asRows(x), asRows(out));
  const { dtype } = x;
  x.engine.tape?.record({
    op: 'softmax',
    inputs: [x],
    outputs: [out],
    saved: [out],
    backward: ([dy], [y]) => {
      const dx = x.engine.empty(y!.shape, dtype);
      x.engine.kernels.softmaxGrad(asRows(y!), asRows(dy!), asRows(dx));
      return [dx];
    },
  });
  return out;
}

/** x − log Σ exp(x) along the last axis. */
export function logSoftmax(x: Tensor): Tensor {
  const shifted = subtract(x, x.engine.noGrad(() => max(x, -1, { keepAxes: true })));
  return subtract(shifted, log(sum(exp(shifted), -1, { keepAxes: true })));
}

/** log Σ exp(x) along the last axis: the shape of x without it. */
export function logSumExp(x: Tensor): Tensor {
  const peak = x.engine.noGrad(() => max(x, -1, { keepAxes: true }));
  const total = log(sum(exp(subtract(x, peak)), -1));
  return subtract(total, multiply(reshape(peak, total.shape), -1));
}

/** Layer normalisation of the last axis (Ba et al. 2016). x [.., D]; gamma, beta float32 [D]. */
export function layerNorm(x: Tensor, gamma: Tensor, beta: Tensor, options: { epsilon?: number } = {}): Tensor {
  const op = 'layerNorm';
  const { engine } = x;
  const epsilon = options.epsilon ?? 1e-5;
  const width = x.shape[x.rank - 1] ?? 1;
  if (!isFloat(x.dtype)) requireFloat(op, 'x', x);
  for (const [name, parameter] of [['gamma', gamma], ['beta', beta]] as const) {
    requireDType(op, name, parameter, 'float32');
    requireExtent(op, `the size of ${name}`, parameter.size, width);
  }
  const rows = width === 0 ? 0 : x.size / width;
  const out = engine.empty(x.shape, x.dtype);
  const mean = engine.empty([rows]);
  const rstd = engine.empty([rows]);
  engine.kernels.layerNorm(asRows(x), gamma, beta, asRows(out), mean, rstd, { epsilon });
  engine.tape?.record({
    op,
    inputs: [x, gamma, beta],
    outputs: [out],
    saved: [x, gamma, mean, rstd],
    backward: ([dy], [input, scale, average, inverse]) => {
      const dx = engine.empty(input!.shape, input!.dtype);
      const dgamma = engine.empty([width]);
      const dbeta = engine.empty([width]);
      engine.kernels.layerNormGrad(asRows(input!), scale!, average!, inverse!, asRows(dy!), asRows(dx), dgamma, dbeta);
      return [dx, dgamma, dbeta];
    },
  });
  return out;
}
