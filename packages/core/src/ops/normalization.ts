// Softmax, log-softmax and layer normalisation with their gradients.
import { LOWEST_FLOAT32, type FloatDType } from '../dtype.js';
import { XMoEError } from '../errors.js';
import { customGradient } from '../grad.js';
import type { Tensor } from '../tensor.js';
import { engineOf, requireDType, requireExtent, requireFloat, requireName, requireNumber, requireOptions, requireRank, requireSameEngine } from './check.js';
import { add, cast, exp, log, maximum, minimum, multiply, subtract } from './elementwise.js';
import { reshape } from './movement.js';
import { max, sum } from './reduce.js';
import { viewRows } from './view.js';

/**
 * Softmax of the last axis, computed in float32. `dtype` of the result: that of x by default. A row of −∞ gives zeros; a row that
 * holds NaN or +∞ gives NaN.
 */
export function softmax(x: Tensor, options: { dtype?: FloatDType } = {}): Tensor {
  requireFloat('softmax', 'x', x);
  requireOptions('softmax', options);
  if (options.dtype !== undefined) requireName('softmax', 'dtype', options.dtype, ['float32', 'float16']);
  const out = x.engine.empty(x.shape, options.dtype ?? x.dtype);
  x.engine.kernels.softmax({ x: viewRows(x) }, { out: viewRows(out) });
  const { dtype } = x;
  x.engine.tape?.record({
    op: 'softmax',
    inputs: [x],
    outputs: [out],
    saved: [out],
    backward: ([dy], [y]) => {
      const dx = x.engine.empty(y!.shape, dtype);
      x.engine.kernels.softmaxGrad({ y: viewRows(y!), dy: viewRows(dy!) }, { dx: viewRows(dx) });
      return [dx];
    },
  });
  return out;
}

/**
 * log softmax(x) along the last axis, computed in float32 as (x − max) − log Σ exp(x − max): what all x share does not round it. A
 * row of −∞ stays −∞; a row that holds NaN or +∞ gives NaN.
 */
export function logSoftmax(x: Tensor): Tensor {
  requireAxis('logSoftmax', x);
  return customGradient(
    'logSoftmax',
    [x],
    () => {
      const wide = cast(x, 'float32');
      // Of a row of −∞ the sum is 0; all others have 1 or more.
      const distance = subtract(wide, maximum(max(wide, -1, { keepAxes: true }), LOWEST_FLOAT32));
      const out = cast(subtract(distance, log(maximum(sum(exp(distance), -1, { keepAxes: true }), 1))), x.dtype);
      return { outputs: out, saved: [out] };
    },
    ([dy], [y]) => {
      const wide = cast(dy!, 'float32');
      return [cast(subtract(wide, multiply(exp(cast(y!, 'float32')), sum(wide, -1, { keepAxes: true }))), dy!.dtype)];
    },
  );
}

/**
 * log Σ exp(x) along the last axis, computed in float32: the shape of x without it. A row of −∞ gives −∞, one with +∞ (and no NaN)
 * +∞. The gradient is that of softmax: zeros in the first case, NaN in the second.
 */
export function logSumExp(x: Tensor): Tensor {
  requireAxis('logSumExp', x);
  const ones = [...x.shape.slice(0, -1), 1];
  return customGradient(
    'logSumExp',
    [x],
    () => ({ outputs: cast(reshape(stableLogSum(cast(x, 'float32')), x.shape.slice(0, -1)), x.dtype), saved: [x] }),
    ([dy], [input]) => [multiply(softmax(input!), reshape(dy!, ones))],
  );
}

/** log Σ exp over the last axis, kept with size 1. Finite bounds keep infinite rows from becoming ∞ − ∞. */
function stableLogSum(x: Tensor): Tensor {
  const peak = minimum(maximum(max(x, -1, { keepAxes: true }), LOWEST_FLOAT32), -LOWEST_FLOAT32);
  return add(peak, log(sum(exp(subtract(x, peak)), -1, { keepAxes: true })));
}

function requireAxis(op: string, x: Tensor): void {
  requireFloat(op, 'x', x);
  if (x.rank === 0) throw new XMoEError('shape', 'x is a scalar: it has no last axis', { op, hint: 'pass x with one axis or more' });
}

/** Layer normalisation of the last axis (Ba et al. 2016). x [.., D]; gamma, beta float32 [D]. */
export function layerNorm(x: Tensor, gamma: Tensor, beta: Tensor, options: { epsilon?: number } = {}): Tensor {
  const op = 'layerNorm';
  const engine = engineOf(op, 'x', x);
  requireOptions(op, options);
  const epsilon = options.epsilon ?? 1e-5;
  requireNumber(op, 'epsilon', epsilon);
  const width = x.shape[x.rank - 1] ?? 1;
  requireFloat(op, 'x', x);
  requireSameEngine(op, x, gamma, beta);
  for (const [name, parameter] of [['gamma', gamma], ['beta', beta]] as const) {
    requireRank(op, name, parameter, 1);
    requireDType(op, name, parameter, 'float32');
    requireExtent(op, `the size of ${name}`, parameter.size, width);
  }
  const rows = width === 0 ? 0 : x.size / width;
  const out = engine.empty(x.shape, x.dtype);
  const mean = engine.empty([rows]);
  const rstd = engine.empty([rows]);
  engine.kernels.layerNorm({ x: viewRows(x), gamma, beta }, { out: viewRows(out), mean, rstd }, { epsilon });
  engine.tape?.record({
    op,
    inputs: [x, gamma, beta],
    outputs: [out],
    saved: [x, gamma, mean, rstd],
    backward: ([dy], [input, scale, average, inverse]) => {
      const dx = engine.empty(input!.shape, input!.dtype);
      const dgamma = engine.empty([width]);
      const dbeta = engine.empty([width]);
      engine.kernels.layerNormGrad(
        { x: viewRows(input!), gamma: scale!, mean: average!, rstd: inverse!, dy: viewRows(dy!) },
        { dx: viewRows(dx), dgamma, dbeta },
      );
      return [dx, dgamma, dbeta];
    },
  });
  return out;
}
