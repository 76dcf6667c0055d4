// Element-wise kernels of two or three operands that broadcast as NumPy does: binary, compare, select.
// Axes that broadcast alike are merged first, so equal shapes and scalars are one flat loop.
import { collapseBroadcast, stridesOf, type BinaryOp, type CompareOp, type KernelAttributes } from '@xmoe/core/backend';
import { elements, type HostView, type NumericArray, type ViewInputs, type ViewOutputs } from './host-view.js';

/** One run along the last merged axis: start position and step of each operand (step 0 repeats the element). */
type Run = (
  a: NumericArray, pa: number, sa: number, b: NumericArray, pb: number, sb: number,
  out: NumericArray, from: number, to: number,
) => void;

const BINARY: Record<BinaryOp, Run> = {
  add: (a, pa, sa, b, pb, sb, out, from, to) => {
    for (let i = from; i < to; i++, pa += sa, pb += sb) out[i] = a[pa] + b[pb];
  },
  subtract: (a, pa, sa, b, pb, sb, out, from, to) => {
    for (let i = from; i < to; i++, pa += sa, pb += sb) out[i] = a[pa] - b[pb];
  },
  multiply: (a, pa, sa, b, pb, sb, out, from, to) => {
    for (let i = from; i < to; i++, pa += sa, pb += sb) out[i] = a[pa] * b[pb];
  },
  divide: (a, pa, sa, b, pb, sb, out, from, to) => {
    for (let i = from; i < to; i++, pa += sa, pb += sb) out[i] = a[pa] / b[pb];
  },
  maximum: (a, pa, sa, b, pb, sb, out, from, to) => {
    for (let i = from; i < to; i++, pa += sa, pb += sb) out[i] = Math.max(a[pa], b[pb]);
  },
  minimum: (a, pa, sa, b, pb, sb, out, from, to) => {
    for (let i = from; i < to; i++, pa += sa, pb += sb) out[i] = Math.min(a[pa], b[pb]);
  },
  power: (a, pa, sa, b, pb, sb, out, from, to) => {
    for (let i = from; i < to; i++, pa += sa, pb += sb) out[i] = Math.pow(a[pa], b[pb]);
  },
  floorDivide: (a, pa, sa, b, pb, sb, out, from, to) => {
    for (let i = from; i < to; i++, pa += sa, pb += sb) out[i] = Math.floor(a[pa] / b[pb]);
  },
  remainder: (a, pa, sa, b, pb, sb, out, from, to) => {
    for (let i = from; i < to; i++, pa += sa, pb += sb) out[i] = a[pa] - b[pb] * Math.floor(a[pa] / b[pb]);
  },
  logicalAnd: (a, pa, sa, b, pb, sb, out, from, to) => {
    for (let i = from; i < to; i++, pa += sa, pb += sb) out[i] = a[pa] & b[pb];
  },
  logicalOr: (a, pa, sa, b, pb, sb, out, from, to) => {
    for (let i = from; i < to; i++, pa += sa, pb += sb) out[i] = a[pa] | b[pb];
  },
};

/** Integer products beyond 2^53 would lose their low bits as doubles. */
const multiplyIntegers: Run = (a, pa, sa, b, pb, sb, out, from, to) => {
  for (let i = from; i < to; i++, pa += sa, pb += sb) out[i] = Math.imul(a[pa], b[pb]);
};

const COMPARE: Record<CompareOp, Run> = {
  equal: (a, pa, sa, b, pb, sb, out, from, to) => {
    for (let i = from; i < to; i++, pa += sa, pb += sb) out[i] = a[pa] === b[pb] ? 1 : 0;
  },
  notEqual: (a, pa, sa, b, pb, sb, out, from, to) => {
    for (let i = from; i < to; i++, pa += sa, pb += sb) out[i] = a[pa] !== b[pb] ? 1 : 0;
  },
  less: (a, pa, sa, b, pb, sb, out, from, to) => {
    for (let i = from; i < to; i++, pa += sa, pb += sb) out[i] = a[pa] < b[pb] ? 1 : 0;
  },
  lessEqual: (a, pa, sa, b, pb, sb, out, from, to) => {
    for (let i = from; i < to; i++, pa += sa, pb += sb) out[i] = a[pa] <= b[pb] ? 1 : 0;
  },
  greater: (a, pa, sa, b, pb, sb, out, from, to) => {
    for (let i = from; i < to; i++, pa += sa, pb += sb) out[i] = a[pa] > b[pb] ? 1 : 0;
  },
  greaterEqual: (a, pa, sa, b, pb, sb, out, from, to) => {
    for (let i = from; i < to; i++, pa += sa, pb += sb) out[i] = a[pa] >= b[pb] ? 1 : 0;
  },
};

export function binary({ a, b }: ViewInputs<'binary'>, { out }: ViewOutputs<'binary'>, { op }: KernelAttributes<'binary'>): void {
  const integers = a.dtype === 'int32' || a.dtype === 'uint32';
  runPairs(a, b, out, op === 'multiply' && integers ? multiplyIntegers : BINARY[op]);
}

export function compare({ a, b }: ViewInputs<'compare'>, { out }: ViewOutputs<'compare'>, { op }: KernelAttributes<'compare'>): void {
  runPairs(a, b, out, COMPARE[op]);
}

function runPairs(a: HostView, b: HostView, out: HostView, run: Run): void {
  const [left, right, target] = [elements(a), elements(b), elements(out)];
  eachRun(out.shape, [a.shape, b.shape], (from, to, starts, steps) => {
    run(left, starts[0], steps[0], right, starts[1], steps[1], target, from, to);
  });
}

export function select({ condition, a, b }: ViewInputs<'select'>, { out }: ViewOutputs<'select'>): void {
  const [test, left, right, target] = [elements(condition), elements(a), elements(b), elements(out)];
  eachRun(out.shape, [condition.shape, a.shape, b.shape], (from, to, starts, steps) => {
    let atTest = starts[0], atLeft = starts[1], atRight = starts[2];
    const stepTest = steps[0], stepLeft = steps[1], stepRight = steps[2];
    for (let i = from; i < to; i++, atTest += stepTest, atLeft += stepLeft, atRight += stepRight) {
      target[i] = test[atTest] !== 0 ? left[atLeft] : right[atRight];
    }
  });
}

/**
 * Calls `visit` for each run along the last merged axis: from and to are positions in out, `starts` the position of each
 * input at `from`, `steps` 1 or 0. `starts` is reused between calls.
 */
function eachRun(
  out: readonly number[],
  inputs: readonly (readonly number[])[],
  visit: (from: number, to: number, starts: readonly number[], steps: readonly number[]) => void,
): void {
  const merged = collapseBroadcast(out, ...inputs);
  const last = merged.out.length - 1;
  const length = merged.out[last];
  const size = merged.out.reduce((product, extent) => product * extent, 1);
  const strides = merged.inputs.map((shape) => {
    const dense = stridesOf(shape);
    return shape.map((extent, axis) => (extent === 1 ? 0 : dense[axis]));
  });
  const steps = strides.map((stride) => stride[last]);
  const starts = strides.map(() => 0);
  const position = new Array<number>(last).fill(0);
  for (let from = 0; from < size; from += length) {
    visit(from, from + length, starts, steps);
    for (let axis = last - 1; axis >= 0; axis--) {
      const wraps = ++position[axis] === merged.out[axis];
      const moves = wraps ? 1 - merged.out[axis] : 1;
      for (let i = 0; i < starts.length; i++) starts[i] += moves * strides[i][axis];
      if (!wraps) break;
      position[axis] = 0;
    }
  }
}
