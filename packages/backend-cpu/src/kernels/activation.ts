// biasActivation and its gradient: one activation over rows that belong to segments with a bias each.
// GELU: Hendrycks and Gimpel 2016, exact (erf) and tanh form.
import type { Activation, KernelAttributes, KernelInputs, KernelOutputs, Operand } from '@xmoe/core';
import { floats, int32s } from '../storage.js';
import { erf } from './erf.js';

const TANH_SCALE = Math.sqrt(2 / Math.PI);
const TANH_CUBIC = 0.044715;
/** Beyond ±20 GELU is x or 0 and its slope 1 or 0, but products of the formulas may be ∞ · 0. */
const FAR = 20;

/** An activation and its slope, by the function that both need: they cost one tanh, or one erf. */
export interface Curve {
  gate(x: number): number;
  value(x: number, gate: number): number;
  slope(x: number, gate: number): number;
}

const ungated = (): number => 0;
const gated = (x: number, gate: number): number => 0.5 * (x < -FAR ? -FAR : x) * (1 + gate);
const near = (x: number): number => (x < -FAR ? -FAR : x > FAR ? FAR : x); // NaN stays

/** The slope of ReLU at 0 is 0. */
export const CURVES: Record<Activation, Curve> = {
  none: { gate: ungated, value: (x) => x, slope: () => 1 },
  relu: { gate: ungated, value: (x) => Math.max(0, x), slope: (x) => (x > 0 ? 1 : 0) },
  'gelu-tanh': {
    gate: (x) => Math.tanh(TANH_SCALE * (x + TANH_CUBIC * x * x * x)),
    value: gated,
    slope: (x, t) => 0.5 * (1 + t) + 0.5 * near(x) * (1 - t * t) * TANH_SCALE * (1 + 3 * TANH_CUBIC * near(x) ** 2),
  },
  'gelu-erf': {
    gate: (x) => erf(x * Math.SQRT1_2),
    value: gated,
    slope: (x, e) => 0.5 * (1 + e) + (near(x) * Math.exp(-0.5 * x * x)) / Math.sqrt(2 * Math.PI),
  },
};

export function biasActivation(
  { x, bias, offsets }: KernelInputs<'biasActivation'>,
  { out }: KernelOutputs<'biasActivation'>,
  { activation }: KernelAttributes<'biasActivation'>,
): void {
  const [source, target] = [floats(x), floats(out)];
  const biases = bias === null ? undefined : floats(bias);
  const C = x.shape[1];
  const { gate, value } = CURVES[activation];
  const used = eachSegment(x, offsets, (group, from, to) => {
    for (let row = from; row < to; row++) {
      for (let j = 0, at = row * C; j < C; j++, at++) {
        const sum = biases === undefined ? source[at] : source[at] + biases[group * C + j];
        target[at] = value(sum, gate(sum));
      }
    }
  });
  target.fill(0, used * C);
}

export function biasActivationGrad(
  { x, bias, offsets, dy }: KernelInputs<'biasActivationGrad'>,
  { dx, dbias }: KernelOutputs<'biasActivationGrad'>,
  { activation }: KernelAttributes<'biasActivationGrad'>,
): void {
  const [source, upstream, target] = [floats(x), floats(dy), floats(dx)];
  const biases = bias === null ? undefined : floats(bias);
  const C = x.shape[1];
  const { gate, slope } = CURVES[activation];
  const sums = new Float64Array(C);
  const used = eachSegment(x, offsets, (group, from, to) => {
    sums.fill(0);
    for (let row = from; row < to; row++) {
      for (let j = 0, at = row * C; j < C; j++, at++) {
        const sum = biases === undefined ? source[at] : source[at] + biases[group * C + j];
        const flow = upstream[at] * slope(sum, gate(sum));
        target[at] = flow;
        sums[j] += flow;
      }
    }
    if (dbias !== null) floats(dbias).set(sums, group * C);
  });
  target.fill(0, used * C);
}

/** Visits each segment's rows and returns how many rows belong to one. No offsets: one segment of all rows. */
function eachSegment(
  x: Operand, offsets: Operand | null, visit: (group: number, from: number, to: number) => void,
): number {
  if (offsets === null) {
    visit(0, 0, x.shape[0]);
    return x.shape[0];
  }
  const bounds = int32s(offsets);
  const groups = bounds.length - 1;
  for (let group = 0; group < groups; group++) visit(group, bounds[group], bounds[group + 1]);
  return bounds[groups];
}
