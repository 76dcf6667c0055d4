// Splits a trained dense feed-forward layer into experts (Section 3.6, Eq. 4). On the host; no routing here.
import { XMoEError, requireInteger, requireOptions } from '@xmoe/core';

/** A dense layer W2·act(W1·h + b1) + b2, row-major, in GPT-2's layout. */
export interface DenseWeights {
  /** [d, D] */
  readonly w1: ArrayLike<number>;
  /** [D] */
  readonly b1: ArrayLike<number>;
  /** [D, d] */
  readonly w2: ArrayLike<number>;
  /** [d] */
  readonly b2: ArrayLike<number>;
}

/** The parameters of N experts of size s = D/N, row-major. */
export interface DecomposedWeights {
  /** [N, d, s] */
  readonly w1: Float32Array;
  /** [N, s] */
  readonly b1: Float32Array;
  /** [N, s, d] */
  readonly w2: Float32Array;
  /** [N, d] */
  readonly b2: Float32Array;
}

export interface DenseSizes {
  readonly width: number;
  readonly hidden: number;
  readonly experts: number;
  /** Each of the D hidden units once: expert i takes those at i·s … (i + 1)·s − 1. Default: as they are. */
  readonly order?: ArrayLike<number>;
}

/**
 * Expert i takes hidden units i·s … (i + 1)·s − 1 of `order`, with their columns of W1 and rows of W2, and a share b2/N of the output
 * bias: so the sum of all N experts with weight 1 is the dense layer (Eq. 4). A router that weighs by p, or takes fewer
 * experts, gives an approximation that fine-tuning closes.
 * @throws XMoEError `value` when N does not divide D, or the order is none; `shape` when an array has another length
 */
export function splitDense(dense: DenseWeights, sizes: DenseSizes): DecomposedWeights {
  const op = 'splitDense';
  requireOptions(op, dense);
  requireOptions(op, sizes);
  const d = requireInteger(op, 'width', sizes.width, 1);
  const D = requireInteger(op, 'hidden', sizes.hidden, 1);
  const N = requireInteger(op, 'experts', sizes.experts, 1);
  if (D % N !== 0) {
    throw new XMoEError('value', `${N} experts do not divide a hidden size of ${D}`, { op, hint: 'choose a number of experts that divides it' });
  }
  for (const [name, length] of [['w1', d * D], ['b1', D], ['w2', D * d], ['b2', d]] as const) {
    const found = (dense[name] as ArrayLike<number> | null | undefined)?.length;
    if (found === length) continue;
    throw new XMoEError('shape', `${name} has ${found ?? 'no'} numbers, expected ${length}`, { op, hint: `the layer is ${d} → ${D} → ${d}` });
  }
  const order = readOrder(op, sizes.order, D);
  const s = D / N;
  const w1 = new Float32Array(N * d * s);
  for (let i = 0; i < N; i++) {
    for (let row = 0; row < d; row++) {
      for (let j = 0; j < s; j++) w1[(i * d + row) * s + j] = dense.w1[row * D + order[i * s + j]!]!;
    }
  }
  return {
    w1,
    b1: Float32Array.from(order, (unit) => dense.b1[unit]!), // [D] is [N, s] already
    w2: Float32Array.from({ length: D * d }, (_, index) => dense.w2[order[Math.floor(index / d)]! * d + (index % d)]!), // and [D, d] is [N, s, d]
    b2: Float32Array.from({ length: N * d }, (_, index) => dense.b2[index % d]! / N),
  };
}

function readOrder(op: string, order: ArrayLike<number> | undefined, units: number): Int32Array {
  if (order === undefined) return Int32Array.from({ length: units }, (_, unit) => unit);
  const read = Int32Array.from(order);
  const seen = new Set(read.filter((unit) => unit >= 0 && unit < units));
  if (read.length === units && seen.size === units) return read;
  throw new XMoEError('value', `the order has ${read.length} entries, of which ${seen.size} are different units of ${units}`, { op, hint: `pass each of 0 … ${units - 1} once` });
}
