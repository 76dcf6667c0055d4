// softmax and cross-entropy on the wasm build. Its softmax is SIMD (2 ns per element, against 20 for exp on the
// host), so the log-sum-exp and the cross-entropy gradient are derived from softmax instead of calling exp.
import type { FusedKernels, Operand } from '@xmoe/core';
import type { WasmContext } from './wasm-context.js';
import { allMinusInfinity } from './host-normalization.js';

const FLOAT = 4;
const SHORT = 1024;
/** A softmax value above this carries the log-sum-exp to float32 accuracy: log-sum-exp = x − log(softmax(x)). */
const RELIABLE = 1e-4;

/** Softmax of [rows, columns]; a row of −∞ gives zeros. Not in place. */
export function softmaxRows({ heap }: WasmContext, x: number, out: number, rows: number, columns: number): void {
  heap.softmax(x, out, rows, columns);
  const [source, z] = [heap.floats(x, rows * columns), heap.floats(out, rows * columns)];
  for (let start = 0; start < z.length; start += columns) {
    if (z[start] !== z[start] && allMinusInfinity(source, start, start + columns)) z.fill(0, start, start + columns);
  }
}

/** log Σ exp of one row from its softmax; `guess` is a column likely to hold a large share. */
export function logSumExp(x: Float32Array, softmax: Float32Array, start: number, columns: number, guess: number): number {
  let best = start + guess;
  if (!(softmax[best] > RELIABLE)) {
    for (let i = start; i < start + columns; i++) if (softmax[i] > softmax[best]) best = i;
  }
  return softmax[best] > 0 ? x[best] - Math.log(softmax[best]) : softmax[best] === 0 ? -Infinity : NaN;
}

/** Two chains hide the latency of the addition. */
function rowSum(x: Float32Array, start: number, columns: number): number {
  let [even, odd] = [0, 0];
  const end = start + (columns & ~1);
  for (let j = start; j < end; j += 2) {
    even += x[j];
    odd += x[j + 1];
  }
  return even + odd + (columns & 1 ? x[end] : 0);
}

type Softmaxes = Pick<FusedKernels, 'softmax' | 'crossEntropyStats' | 'crossEntropyGrad'>;

function statistics(context: WasmContext): FusedKernels['crossEntropyStats'] {
  const { heap } = context;
  return (logits, targets, lse, picked, total, { offset }) => {
    const [R, C] = logits.shape;
    const [logSums, chosen, totals] = [context.output(lse), context.output(picked), context.output(total)];
    const [scores, ids] = [context.input(logits), context.integers(targets)];
    context.pieces(R, C, (first, rows) => {
      const share = heap.scratch(0, rows * C);
      softmaxRows(context, scores + first * C * FLOAT, share, rows, C);
      const [x, p] = [heap.floats(scores + first * C * FLOAT, rows * C), heap.floats(share, rows * C)];
      const [l, c, t] = [logSums, chosen, totals].map((address) => heap.floats(address, R));
      for (let r = 0, start = 0; r < rows; r++, start += C) {
        const column = ids[first + r] - offset;
        const inside = column >= 0 && column < C;
        l[first + r] = logSumExp(x, p, start, C, inside ? column : 0);
        c[first + r] = inside ? x[start + column] : 0;
        t[first + r] = rowSum(x, start, C);
      }
    });
  };
}

function gradient(context: WasmContext): FusedKernels['crossEntropyGrad'] {
  const { heap } = context;
  return (logits, targets, lse, scale, dlogits, { offset, labelSmoothing, vocabulary }) => {
    const [R, C] = logits.shape;
    const target = context.output(dlogits);
    const [scores, ids, logSums, scales] = [context.input(logits), context.integers(targets), context.input(lse), context.input(scale)];
    const factor = heap.scratch(0, R);
    context.pieces(R, C, (first, rows) => {
      const at = first * C * FLOAT;
      softmaxRows(context, scores + at, target + at, rows, C);
      const [x, z] = [heap.floats(scores + at, rows * C), heap.floats(target + at, rows * C)];
      const [l, s, f] = [logSums, scales, factor].map((address) => heap.floats(address, R));
      // exp(x − lse) = softmax over the chunk · exp(lse of the chunk − lse)
      for (let r = 0, start = 0; r < rows; r++, start += C) {
        const column = ids[first + r] - offset;
        const chunk = logSumExp(x, z, start, C, column >= 0 && column < C ? column : 0);
        f[r] = (chunk === -Infinity ? 0 : Math.exp(chunk - l[first + r])) * s[first + r];
      }
      heap.binary('Multiply', { address: target + at, shape: [rows, C] }, { address: factor, shape: [rows, 1] }, target + at, rows * C);
      const [d, weights] = [heap.floats(target + at, rows * C), heap.floats(scales, R)];
      for (let r = 0, start = 0; r < rows; r++, start += C) {
        const weight = weights[first + r];
        const column = ids[first + r] - offset;
        if (labelSmoothing > 0) for (let j = start; j < start + C; j++) d[j] -= (labelSmoothing / vocabulary) * weight;
        if (column >= 0 && column < C) d[start + column] -= (1 - labelSmoothing) * weight;
      }
    });
  };
}

export function wasmSoftmax(context: WasmContext, host: Softmaxes): Softmaxes {
  const [stats, grad] = [statistics(context), gradient(context)];
  const short = ({ shape: [R, C] }: Operand): boolean => R * C < SHORT;
  return {
    softmax(x, out) {
      if (short(x)) return host.softmax(x, out);
      const target = context.output(out);
      softmaxRows(context, context.input(x), target, x.shape[0], x.shape[1]);
    },
    crossEntropyStats: (logits, ...rest) => (short(logits) ? host.crossEntropyStats : stats)(logits, ...rest),
    crossEntropyGrad: (logits, ...rest) => (short(logits) ? host.crossEntropyGrad : grad)(logits, ...rest),
  };
}
