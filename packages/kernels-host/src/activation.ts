// biasActivation and its gradient: one activation over rows that belong to segments with a bias each.
// GELU: Hendrycks and Gimpel 2016, exact (erf) and tanh form.
import type { Activation, KernelAttributes } from '@xmoe/core';
import { floats, int32s, type FloatArray, type HostView, type NumericArray, type ViewInputs, type ViewOutputs } from './host-view.js';
import { erf, normalSingle } from './erf.js';

/** 2·√(2/π): GELU's tanh form 0.5·x·(1 + tanh(u)) equals x·sigmoid(2u), u = √(2/π)·(x + 0.044715·x³). */
export const GELU_SLOPE = 2 * Math.sqrt(2 / Math.PI);
export const GELU_CUBIC = 0.044715;
/** Beyond ±20 GELU is x or 0 and its slope 1 or 0, but products of the formulas may be ∞ · 0. */
export const GELU_FAR = 20;

/** An activation and its slope, by the function that both need: they cost one exponential, or one erf. */
export interface Curve {
  gate(x: number): number;
  value(x: number, gate: number): number;
  slope(x: number, gate: number): number;
}

const ungated = (): number => 0;
const gated = (x: number, gate: number): number => (x < -GELU_FAR ? -GELU_FAR : x) * gate;
const near = (x: number): number => (x < -GELU_FAR ? -GELU_FAR : x > GELU_FAR ? GELU_FAR : x); // NaN stays

/** The slope of ReLU at 0 is 0. */
const CURVES: Record<Activation, Curve> = {
  none: { gate: ungated, value: (x) => x, slope: () => 1 },
  relu: { gate: ungated, value: (x) => Math.max(0, x), slope: (x) => (x > 0 ? 1 : 0) },
  'gelu-tanh': {
    gate: (x) => 1 / (1 + Math.exp(-GELU_SLOPE * (x + GELU_CUBIC * x * x * x))),
    value: gated,
    slope: (x, gate) => gate + near(x) * gate * (1 - gate) * GELU_SLOPE * (1 + 3 * GELU_CUBIC * near(x) ** 2),
  },
  'gelu-erf': {
    gate: (x) => 0.5 * (1 + erf(x * Math.SQRT1_2)),
    value: gated,
    slope: (x, gate) => gate + (near(x) * Math.exp(-0.5 * x * x)) / Math.sqrt(2 * Math.PI),
  },
};

/** As they are where results are in float32: erf takes the time of GELU. */
const SINGLE_CURVES: Record<Activation, Curve> = { ...CURVES, 'gelu-erf': { ...CURVES['gelu-erf'], gate: normalSingle } };

/** The curve of an activation whose results go to `target`. */
export function curveOf(activation: Activation, target: FloatArray): Curve {
  return (target instanceof Float64Array ? CURVES : SINGLE_CURVES)[activation];
}

export function biasActivation(
  { x, bias, offsets }: ViewInputs<'biasActivation'>,
  { out }: ViewOutputs<'biasActivation'>,
  { activation }: KernelAttributes<'biasActivation'>,
): void {
  const [source, target] = [floats(x), floats(out)];
  const biases = bias === null ? undefined : floats(bias);
  const C = x.shape[1];
  const { gate, value } = curveOf(activation, target);
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
  { x, bias, offsets, dy }: ViewInputs<'biasActivationGrad'>,
  { dx, dbias }: ViewOutputs<'biasActivationGrad'>,
  { activation }: KernelAttributes<'biasActivationGrad'>,
): void {
  const [source, upstream, target] = [floats(x), floats(dy), floats(dx)];
  const biases = bias === null ? undefined : floats(bias);
  const C = x.shape[1];
  const { gate, slope } = curveOf(activation, target);
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
  x: HostView, offsets: HostView | null, visit: (group: number, from: number, to: number) => void,
): number {
  const segments = segmentsOf(offsets === null ? undefined : int32s(offsets), x.shape[0]);
  segments.forEach(({ first, end }, group) => visit(group, first, end));
  return segments.at(-1)?.end ?? 0;
}

/** Segment g of the rows, as [first, end): the whole when there are no offsets. */
export function segmentsOf(offsets: NumericArray | undefined, rows: number): { first: number; end: number }[] {
  if (!offsets) return [{ first: 0, end: rows }];
  const segments: { first: number; end: number }[] = [];
  for (let g = 0; g + 1 < offsets.length; g++) segments.push({ first: offsets[g], end: offsets[g + 1] });
  return segments;
}
