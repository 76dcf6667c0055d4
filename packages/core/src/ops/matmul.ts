// Matrix products: batched, transposed, and grouped over ragged segments, with their gradients.
import type { FloatDType } from '../dtype.js';
import { XMoEError } from '../errors.js';
import { formatShape, sizeOf } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { requireDType, requireExtent, requireFloat, requireRank, requireSameDType, requireSameEngine } from './check.js';
import { cast } from './elementwise.js';
import { reshape } from './movement.js';

export interface MatmulOptions {
  /** a is [.., K, M]. */
  transposeA?: boolean;
  /** b is [.., N, K]. */
  transposeB?: boolean;
  /** dtype of the result; by default that of the inputs. float32 from float16 inputs keeps the accumulator. */
  dtype?: FloatDType;
}

/**
 * a [.., M, K] · b [.., K, N] → [.., M, N], accumulated in float32. Leading axes of a and b agree, or b has two axes
 * and serves every row of a.
 */
export function matmul(a: Tensor, b: Tensor, options: MatmulOptions = {}): Tensor {
  const { transposeA = false, transposeB = false } = options;
  checkMatmul(a, b, transposeA, transposeB);
  const batchShape = a.shape.slice(0, -2);
  // b shared by a batch of untransposed rows is one tall product.
  if (b.rank === 2 && a.rank > 2 && !transposeA) {
    const flat = matmul(reshape(a, [-1, a.shape[a.rank - 1]!]), b, options);
    return reshape(flat, [...a.shape.slice(0, -1), flat.shape[1]!]);
  }
  const batch = sizeOf(batchShape);
  const a3 = reshape(a, [batch, ...a.shape.slice(-2)]);
  const b3 = reshape(b, [sizeOf(b.shape.slice(0, -2)), ...b.shape.slice(-2)]);
  const out = batchedMatmul(a3, b3, transposeA, transposeB, options.dtype ?? (a.dtype as FloatDType));
  return reshape(out, [...batchShape, out.shape[1]!, out.shape[2]!]);
}

function checkMatmul(a: Tensor, b: Tensor, transposeA: boolean, transposeB: boolean): void {
  requireSameEngine('matmul', a, b);
  requireFloat('matmul', 'lhs', a);
  requireSameDType('matmul', a, b);
  const shapes = `lhs ${formatShape(a.shape)}, rhs ${formatShape(b.shape)}`;
  if (a.rank < 2 || b.rank < 2) {
    throw new XMoEError('shape', `both sides need two axes or more: ${shapes}`, { op: 'matmul', hint: 'reshape vectors to one row or column' });
  }
  const innerA = a.shape[a.rank - (transposeA ? 2 : 1)]!;
  const innerB = b.shape[b.rank - (transposeB ? 1 : 2)]!;
  if (innerA !== innerB) {
    throw new XMoEError('shape', `inner dimensions differ: ${shapes}`, {
      op: 'matmul',
      hint: transposeB ? 'with transposeB rhs is [N, K]' : 'pass transposeB if rhs is [N, K]',
    });
  }
  const batchA = a.shape.slice(0, -2);
  const batchB = b.shape.slice(0, -2);
  if (batchB.length > 0 && formatShape(batchA) !== formatShape(batchB)) {
    throw new XMoEError('shape', `leading dimensions differ: ${shapes}`, { op: 'matmul', hint: 'rhs has the batch axes of lhs, or none' });
  }
}

/** a [B, ..] and b [B or 1, ..]. */
function batchedMatmul(a: Tensor, b: Tensor, transposeA: boolean, transposeB: boolean, dtype: FloatDType): Tensor {
  const { engine } = a;
  const rows = a.shape[transposeA ? 2 : 1]!;
  const columns = b.shape[transposeB ? 1 : 2]!;
  const out = engine.empty([a.shape[0]!, rows, columns], dtype);
  engine.kernels.matmul(a, b, out, { transposeA, transposeB });
  const run = (x: Tensor, y: Tensor, flipX: boolean, flipY: boolean): Tensor => batchedMatmul(x, y, flipX, flipY, x.dtype as FloatDType);
  engine.tape?.record({
    op: 'matmul',
    inputs: [a, b],
    outputs: [out],
    saved: [a, b],
    backward: ([upstream], [left, right], needs) => {
      const l = left!;
      const r = right!;
      const dy = cast(upstream!, l.dtype);
      const da = (): Tensor => (transposeA ? run(r, dy, transposeB, true) : run(dy, r, false, !transposeB));
      const db = (): Tensor => (transposeB ? run(dy, l, true, transposeA) : run(l, dy, !transposeA, false));
      return [needs[0] ? da() : null, needs[1] ? sharedWeight(db(), r) : null];
    },
  });
  return out;
}

/** A right-hand side used by the whole batch collects the gradients of all. */
function sharedWeight(gradient: Tensor, weight: Tensor): Tensor {
  if (gradient.shape[0] === weight.shape[0]) return gradient;
  const { engine } = gradient;
  const out = engine.empty(weight.shape, weight.dtype);
  engine.kernels.reduce(gradient, out, { op: 'sum', outer: 1, size: gradient.shape[0]!, inner: sizeOf(weight.shape) });
  return out;
}

/**
 * Grouped matmul over ragged segments: row r of segment g (offsets[g] ≤ r < offsets[g + 1]) times w[g].
 * x [R, K], w [G, K, M] ([G, M, K] with transposeW), offsets int32 [G + 1] → [R, M]. Rows after the last segment are 0.
 */
export function groupedMatmul(x: Tensor, w: Tensor, offsets: Tensor, options: { transposeW?: boolean } = {}): Tensor {
  const op = 'groupedMatmul';
  const { engine } = x;
  const transposeW = options.transposeW ?? false;
  requireSameEngine(op, x, w, offsets);
  requireRank(op, 'x', x, 2);
  requireRank(op, 'w', w, 3);
  requireFloat(op, 'x', x);
  requireSameDType(op, x, w);
  requireDType(op, 'offsets', offsets, 'int32');
  requireExtent(op, 'the length of offsets', offsets.size, w.shape[0]! + 1);
  requireExtent(op, 'the inner dimension of w', w.shape[transposeW ? 2 : 1]!, x.shape[1]!);
  const out = engine.empty([x.shape[0]!, w.shape[transposeW ? 1 : 2]!], x.dtype);
  engine.kernels.groupedMatmul(x, w, offsets, out, { transposeW });
  engine.tape?.record({
    op,
    inputs: [x, w],
    outputs: [out],
    saved: [x, w, offsets],
    backward: ([upstream], [rows, weight, ends], needs) => {
      const dy = cast(upstream!, rows!.dtype);
      return [
        needs[0] ? groupedMatmul(dy, weight!, ends!, { transposeW: !transposeW }) : null,
        needs[1] ? groupedWeightGradient(rows!, dy, ends!, weight!, transposeW) : null,
      ];
    },
  });
  return out;
}

function groupedWeightGradient(x: Tensor, dy: Tensor, offsets: Tensor, w: Tensor, transposeW: boolean): Tensor {
  const out = x.engine.empty(w.shape, w.dtype);
  x.engine.kernels.groupedMatmulWeightGrad(transposeW ? dy : x, transposeW ? x : dy, offsets, out);
  return out;
}
