// softmax and cross-entropy on the wasm build. Its softmax is SIMD (2 ns per element, against 20 for exp on the
// host), so the statistics and the gradient of cross-entropy are derived from softmax instead of calling exp.
import { LOWEST_FLOAT32, type FusedKernels, type Operand } from '@xmoe/core/backend';
import { allMinusInfinity, pickedLogit } from '@xmoe/kernels-host';
import type { WasmContext } from './wasm-context.js';

const FLOAT = 4;
const SHORT = 1024;
/** A softmax value above this has the accuracy of float32. */
const RELIABLE = 1e-4;

/** Softmax of [rows, columns]; a row of −∞ gives zeros. Not in place. */
export function softmaxRows({ heap }: WasmContext, x: number, out: number, rows: number, columns: number): void {
  heap.softmax(x, out, rows, columns);
  const [source, z] = [heap.floats(x, rows * columns), heap.floats(out, rows * columns)];
  for (let start = 0; start < z.length; start += columns) {
    if (z[start] !== z[start] && allMinusInfinity(source, start, start + columns)) z.fill(0, start, start + columns);
  }
}

/** Where the largest of a row is; the first place if all are NaN. */
export function indexOfLargest(x: Float32Array, start: number, columns: number): number {
  let best = start;
  let most = x[start];
  for (let i = start + 1; i < start + columns; i++) {
    if (x[i] > most) {
      most = x[i];
      best = i;
    }
  }
  return best;
}

/** A place of a row with a share large enough to say how the others are scaled; `guess` is a column likely to be one. */
function indexOfReliable(softmax: Float32Array, start: number, columns: number, guess: number): number {
  return softmax[start + guess] > RELIABLE ? start + guess : indexOfLargest(softmax, start, columns);
}

/** Σ (x − base) of a row. Two chains hide the latency of the addition. */
function sumOfDistances(x: Float32Array, start: number, columns: number, base: number): number {
  let [even, odd] = [0, 0];
  const end = start + (columns & ~1);
  for (let j = start; j < end; j += 2) {
    even += x[j] - base;
    odd += x[j + 1] - base;
  }
  return even + odd + (columns & 1 ? x[end] - base : 0);
}

type Softmaxes = Pick<FusedKernels, 'softmax' | 'crossEntropyStats' | 'crossEntropyGrad'>;

function statistics(context: WasmContext): FusedKernels['crossEntropyStats'] {
  const { heap } = context;
  return ({ logits, targets }, { peak, sum, picked, total }, { offset, vocabulary }) => {
    const [R, C] = logits.shape;
    const [peaks, sums, chosen] = [context.output(peak), context.output(sum), context.output(picked)];
    const totals = total && context.output(total);
    const [scores, ids] = [context.input(logits), context.integers(targets)];
    context.pieces(R, C, (first, rows) => {
      const share = heap.scratch(0, rows * C);
      softmaxRows(context, scores + first * C * FLOAT, share, rows, C);
      const [x, p] = [heap.floats(scores + first * C * FLOAT, rows * C), heap.floats(share, rows * C)];
      const [l, s, c] = [peaks, sums, chosen].map((address) => heap.floats(address, R));
      const t = totals === null ? null : heap.floats(totals, R);
      for (let r = 0, start = 0; r < rows; r++, start += C) {
        const best = indexOfLargest(x, start, C);
        // The largest has a share of 1 / sum; without one that is above −∞ all shares are 0.
        const isSpoiled = Number.isNaN(p[best]);
        const largest = isSpoiled ? NaN : Math.max(x[best], LOWEST_FLOAT32);
        l[first + r] = largest;
        s[first + r] = p[best] === 0 ? 0 : 1 / p[best];
        if (t) t[first + r] = sumOfDistances(x, start, C, largest);
        c[first + r] = pickedLogit(x, start, C, ids[first + r], offset, vocabulary);
      }
    });
  };
}

function gradient(context: WasmContext): FusedKernels['crossEntropyGrad'] {
  const { heap } = context;
  return ({ logits, targets, peak, sum, scale }, { dlogits }, { offset, labelSmoothing, vocabulary }) => {
    const [R, C] = logits.shape;
    const target = context.output(dlogits);
    const [scores, ids, scales] = [context.input(logits), context.integers(targets), context.input(scale)];
    const [peaks, sums] = [context.input(peak), context.input(sum)];
    const factor = heap.scratch(0, R);
    context.pieces(R, C, (first, rows) => {
      const at = first * C * FLOAT;
      softmaxRows(context, scores + at, target + at, rows, C);
      const [x, z] = [heap.floats(scores + at, rows * C), heap.floats(target + at, rows * C)];
      const [l, q, s, f] = [peaks, sums, scales, factor].map((address) => heap.floats(address, R));
      // The softmax over the chunk becomes that over the vocabulary: as one of its larger shares does, so do all.
      for (let r = 0, start = 0; r < rows; r++, start += C) {
        const id = ids[first + r];
        const column = id - offset;
        const known = indexOfReliable(z, start, C, column >= 0 && column < C ? column : 0);
        const share = Math.exp(x[known] - l[first + r]) / q[first + r];
        f[r] = z[known] === 0 && share === 0 ? 0 : (share / z[known]) * (id < vocabulary ? s[first + r] : NaN);
      }
      heap.binary('Multiply', { address: target + at, shape: [rows, C] }, { address: factor, shape: [rows, 1] }, target + at, rows * C);
      const [d, weights] = [heap.floats(target + at, rows * C), heap.floats(scales, R)];
      for (let r = 0, start = 0; r < rows; r++, start += C) {
        const weight = weights[first + r];
        const column = ids[first + r] - offset;
        if (ids[first + r] < 0) {
          d.fill(0, start, start + C);
          continue;
        }
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
    softmax({ x }, { out }) {
      if (short(x)) return host.softmax({ x }, { out });
      const target = context.output(out);
      softmaxRows(context, context.input(x), target, x.shape[0], x.shape[1]);
    },
    crossEntropyStats: (inputs, outputs, chunk) => (short(inputs.logits) ? host.crossEntropyStats : stats)(inputs, outputs, chunk),
    crossEntropyGrad: (inputs, outputs, chunk) => (short(inputs.logits) ? host.crossEntropyGrad : grad)(inputs, outputs, chunk),
  };
}
