// Fallbacks of bias + activation per segment, its gradient, and dropout.
import type { Activation, KernelAttributes, KernelInputs, KernelOutputs, Operand } from '../contract.js';
import { reshape, type Scratch } from './scratch.js';

const SQRT_2_OVER_PI = Math.sqrt(2 / Math.PI);
const CUBIC = 0.044715;
/** Beyond ±20 GELU is x or 0 and its slope 1 or 0, but products of the formulas may be ∞ · 0. */
const FAR = 20;

export function biasActivation(
  scratch: Scratch,
  { x, bias, offsets }: KernelInputs<'biasActivation'>,
  { out }: KernelOutputs<'biasActivation'>,
  { activation }: KernelAttributes<'biasActivation'>,
): void {
  const segments = segmentsOf(scratch, x, offsets);
  const activated = activate(scratch, withBias(scratch, x, bias, segments), activation);
  scratch.copy(onlyRouted(scratch, activated, segments), out);
}

export function biasActivationGrad(
  scratch: Scratch,
  { x, bias, offsets, dy }: KernelInputs<'biasActivationGrad'>,
  { dx, dbias }: KernelOutputs<'biasActivationGrad'>,
  { activation }: KernelAttributes<'biasActivationGrad'>,
): void {
  const segments = segmentsOf(scratch, x, offsets);
  const slope = derivative(scratch, withBias(scratch, x, bias, segments), activation);
  const upstream = scratch.cast(dy, 'float32');
  const product = slope ? scratch.binary('multiply', upstream, slope) : upstream;
  const gradient = onlyRouted(scratch, product, segments);
  scratch.copy(gradient, dx);
  if (!dbias) return;
  const sum = scratch.empty(dbias.shape);
  if (segments) scratch.kernels.scatterAddRows({ x: gradient, indices: segments.groups }, { out: sum });
  else scratch.reduce('sum', gradient, 0, sum);
  scratch.copy(sum, dbias);
}

export function dropout(
  scratch: Scratch,
  { x, key }: KernelInputs<'dropout'>,
  { out }: KernelOutputs<'dropout'>,
  { rate, stream }: KernelAttributes<'dropout'>,
): void {
  const uniform = scratch.empty(x.shape);
  scratch.kernels.random({ key }, { out: uniform }, { stream });
  const kept = scratch.cast(scratch.compare('greaterEqual', uniform, rate), 'float32');
  const scale = scratch.binary('multiply', kept, 1 / (1 - rate));
  scratch.copy(scratch.binary('multiply', scratch.cast(x, 'float32'), scale), out);
}

export interface Segments {
  /** Segment of each row, int32 [R]; G for rows after the last. */
  groups: Operand;
  /** bool [R, 1]: the row belongs to a segment. */
  routed: Operand;
}

/** Row r is in the segment with as many segment ends at or before it. */
export function segmentsOf(scratch: Scratch, x: Operand, offsets: Operand | null): Segments | null {
  if (!offsets) return null;
  const rows = x.shape[0]!;
  const count = offsets.shape[0]! - 1;
  const ends = scratch.empty([count], 'int32');
  scratch.kernels.slice({ x: offsets }, { out: ends }, { begin: [1] });
  const row = reshape(scratch.iota(rows), [rows, 1]);
  const passed = scratch.cast(scratch.compare('greaterEqual', row, reshape(ends, [1, count])), 'int32');
  const groups = scratch.reduce('sum', passed, 1);
  return { groups: reshape(groups, [rows]), routed: scratch.compare('less', groups, count) };
}

export function withBias(scratch: Scratch, x: Operand, bias: Operand | null, segments: Segments | null): Operand {
  const values = scratch.cast(x, 'float32');
  if (!bias) return values;
  const wide = scratch.cast(bias, 'float32');
  return scratch.binary('add', values, segments ? scratch.gatherRows(wide, segments.groups) : wide);
}

export function onlyRouted(scratch: Scratch, x: Operand, segments: Segments | null): Operand {
  return segments ? scratch.select(segments.routed, x, 0) : x;
}

export function activate(scratch: Scratch, x: Operand, activation: Activation): Operand {
  if (activation === 'none') return x;
  if (activation === 'relu') return scratch.unary('relu', x);
  const low = scratch.binary('maximum', x, -FAR);
  const gate = activation === 'gelu-tanh' ? tanhGate(scratch, low) : erfGate(scratch, low);
  const half = scratch.binary('multiply', low, 0.5);
  return scratch.binary('multiply', half, scratch.binary('add', gate, 1));
}

/** tanh(√(2/π)·(x + 0.044715·x³)), Hendrycks and Gimpel 2016. */
function tanhGate(scratch: Scratch, x: Operand): Operand {
  const cubic = scratch.binary('add', scratch.binary('multiply', scratch.unary('square', x), CUBIC), 1);
  return scratch.unary('tanh', scratch.binary('multiply', scratch.binary('multiply', x, cubic), SQRT_2_OVER_PI));
}

function erfGate(scratch: Scratch, x: Operand): Operand {
  return scratch.unary('erf', scratch.binary('multiply', x, Math.SQRT1_2));
}

/** Derivative of the activation at x; null where it is 1 everywhere. */
export function derivative(scratch: Scratch, input: Operand, activation: Activation): Operand | null {
  if (activation === 'none') return null;
  if (activation === 'relu') return scratch.cast(scratch.compare('greater', input, 0), 'float32');
  const x = scratch.binary('minimum', scratch.binary('maximum', input, -FAR), FAR);
  const square = scratch.unary('square', x);
  if (activation === 'gelu-erf') {
    const density = scratch.unary('exp', scratch.binary('multiply', square, -0.5));
    const tail = scratch.binary('multiply', scratch.binary('multiply', x, density), 1 / Math.sqrt(2 * Math.PI));
    const cumulative = scratch.binary('multiply', scratch.binary('add', erfGate(scratch, x), 1), 0.5);
    return scratch.binary('add', cumulative, tail);
  }
  const gate = tanhGate(scratch, x);
  const sech = scratch.binary('add', scratch.unary('negate', scratch.unary('square', gate)), 1);
  const inner = scratch.binary('add', scratch.binary('multiply', square, 3 * CUBIC * SQRT_2_OVER_PI), SQRT_2_OVER_PI);
  const slope = scratch.binary('multiply', scratch.binary('multiply', scratch.binary('multiply', x, 0.5), sech), inner);
  return scratch.binary('add', scratch.binary('multiply', scratch.binary('add', gate, 1), 0.5), slope);
}
