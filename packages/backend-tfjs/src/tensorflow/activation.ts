// Bias and activation per segment, and their gradients. GELU by the sigmoid: ½·(1 + tanh(u)) is sigmoid(2u), which keeps its digits where it is small.
import type { Activation, FusedKernels, Operand } from '@xmoe/core';
import type { Pieces } from './elementwise.js';
import type { Id, Ops } from './ops.js';

const SLOPE = 2 * Math.sqrt(2 / Math.PI);
const CUBIC = 0.044715;
/** Beyond ±20 the slope is 0 or 1, but products of the formulas may be ∞ · 0. */
const FAR = 20;

export interface Activations {
  activate(x: Id, activation: Activation): Id;
  /** dy times the slope of the activation at x. */
  flow(x: Id, dy: Id, activation: Activation): Id;
}

export function createActivations({ run, scalar }: Ops, { add, multiply, square, exp, multiplyNoNan }: Pieces): Activations {
  const sigmoid = (x: Id): Id => run('Sigmoid', { T: 'float32' }, x);
  /** x·(a + b·x²) from x². */
  const cubic = (x: Id, squared: Id, a: number, b: number): Id => multiply(x, add(multiply(squared, scalar(b)), scalar(a)));
  const half = (x: Id): Id => add(multiply(run('Erf', { T: 'float32' }, multiply(x, scalar(Math.SQRT1_2))), scalar(0.5)), scalar(0.5));
  return {
    activate(x, activation) {
      if (activation === 'none') return x;
      if (activation === 'relu') return run('Relu', { T: 'float32' }, x);
      const gate = activation === 'gelu-erf' ? half(x) : sigmoid(cubic(x, square(x), SLOPE, SLOPE * CUBIC));
      return multiplyNoNan(x, gate);
    },
    flow(input, dy, activation) {
      if (activation === 'none') return dy;
      if (activation === 'relu') return multiply(dy, run('Cast', { SrcT: 'bool', DstT: 'float32', Truncate: false }, run('Greater', { T: 'float32' }, input, scalar(0))));
      const x = run('ClipByValue', { T: 'float32' }, input, scalar(-FAR), scalar(FAR));
      const squared = square(x);
      if (activation === 'gelu-erf') {
        const density = multiply(exp(multiply(squared, scalar(-0.5))), scalar(1 / Math.sqrt(2 * Math.PI)));
        return multiply(dy, add(half(x), multiply(x, density)));
      }
      const gate = sigmoid(cubic(x, squared, SLOPE, SLOPE * CUBIC));
      const inner = cubic(x, squared, SLOPE, 3 * SLOPE * CUBIC);
      // SigmoidGrad(g, a) is a·g·(1 − g).
      const slope = add(gate, run('SigmoidGrad', { T: 'float32' }, gate, inner));
      return multiply(dy, slope);
    },
  };
}

/** Which segment each row belongs to. */
export interface Segments {
  /** int32 [R]: G for rows after the last. */
  readonly groups: Id;
  /** bool [R, 1]: the row belongs to one. */
  readonly routed: Id;
  readonly count: number;
}

/** Of R rows, by `offsets` int32 [G + 1]. */
export function segmentsOf(ops: Ops, offsets: Operand, R: number): Segments {
  const { run, scalar, reshape } = ops;
  const count = offsets.shape[0]! - 1;
  const ends = run('Slice', { T: 'int32', Index: 'int32' }, ops.id(offsets), ops.vector([1]), ops.vector([count]));
  const rows = run('Range', { Tidx: 'int32' }, scalar(0, 'int32'), scalar(R, 'int32'), scalar(1, 'int32'));
  // As many as there are ends at or before the row.
  const passed = run('UpperBound', { T: 'int32', out_type: 'int32' }, reshape(ends, [1, count]), reshape(rows, [1, R]));
  const groups = reshape(passed, [R]);
  return { groups, routed: reshape(run('Less', { T: 'int32' }, groups, scalar(count, 'int32')), [R, 1]), count };
}

export function activationKernels(ops: Ops, pieces: Pieces, { activate, flow }: Activations): Pick<FusedKernels, 'biasActivation' | 'biasActivationGrad'> {
  const { id, put, scalar } = ops;
  const { reduce, add, select, gatherRows, scatterRows } = pieces;
  const withBias = (x: Operand, bias: Operand | null, segments: Segments | null): Id => {
    if (!bias) return id(x);
    if (!segments) return ops.run('BiasAdd', { T: 'float32' }, id(x), ops.reshape(id(bias), [x.shape[1]!]));
    return add(id(x), gatherRows(id(bias), segments.groups, segments.count, x.shape[0]!));
  };
  const onlyRouted = (x: Id, segments: Segments | null): Id => (segments ? select(segments.routed, x, scalar(0)) : x);
  return {
    biasActivation({ x, bias, offsets }, { out }, { activation }) {
      const segments = offsets && segmentsOf(ops, offsets, x.shape[0]!);
      put(out, onlyRouted(activate(withBias(x, bias, segments), activation), segments));
    },
    biasActivationGrad({ x, bias, offsets, dy }, { dx, dbias }, { activation }) {
      const segments = offsets && segmentsOf(ops, offsets, x.shape[0]!);
      const gradient = onlyRouted(flow(withBias(x, bias, segments), id(dy), activation), segments);
      if (dbias) put(dbias, segments ? scatterRows(gradient, segments.groups, segments.count) : ops.reshape(reduce('Sum', gradient, 0, false), dbias.shape));
      put(dx, gradient);
    },
  };
}
