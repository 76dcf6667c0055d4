// Matrix products: batched, transposed, and grouped over ragged segments, with their gradients.
import type { DType, FloatDType } from '../dtype.js';
import { XMoEError } from '../errors.js';
import { formatShape, sizeOf, type Shape } from '../shape.js';
import type { Tensor } from '../tensor.js';
import { engineOf, requireFloat, requireGroups, requireName, requireOptions, requireRank, requireSameDType, requireSameEngine } from './check.js';
import { cast } from './elementwise.js';
import { view } from './view.js';

export interface MatmulOptions {
  /** a is [.., K, M]. */
  readonly transposeA?: boolean;
  /** b is [.., N, K]. */
  readonly transposeB?: boolean;
  /** dtype of the result; by default that of the inputs. float32 from float16 inputs keeps the accumulator. */
  readonly dtype?: FloatDType;
}

/**
 * a [.., M, K] · b [.., K, N] → [.., M, N], accumulated in float32. Leading axes of a and b agree, or b has two axes
 * and serves every row of a.
 */
export function matmul(a: Tensor, b: Tensor, options: MatmulOptions = {}): Tensor {
  requireOptions('matmul', options);
  const { transposeA = false, transposeB = false } = options;
  if (options.dtype !== undefined) requireName('matmul', 'dtype', options.dtype, ['float32', 'float16']);
  checkMatmul(a, b, transposeA, transposeB);
  const engine = engineOf('matmul', 'a', a);
  const layout = layoutOf(a.shape, b.shape, transposeA, transposeB);
  const { batch, M, N } = layout;
  const rows = a.shape[a.rank - (transposeA ? 1 : 2)]!;
  const out = engine.empty([...a.shape.slice(0, -2), rows, N], options.dtype ?? a.dtype);
  engine.kernels.matmul({ a: view(a, layout.a), b: view(b, layout.b) }, { out: view(out, [batch, M, N]) }, { transposeA, transposeB });
  engine.tape?.record({
    op: 'matmul',
    inputs: [a, b],
    outputs: [out],
    saved: [a, b],
    backward: ([upstream], [left, right], needs) => {
      const dy = cast(upstream!, left!.dtype);
      return [
        needs[0] ? leftGradient(dy, left!, right!, layout, transposeA, transposeB) : null,
        needs[1] ? rightGradient(dy, left!, right!, layout, transposeA, transposeB) : null,
      ];
    },
  });
  return out;
}

/**
 * x·weight with a float32 weight [K, N] ([N, K] with transposeB) that is multiplied in the dtype of x [.., K]. The weight's gradient is
 * float32 as the product's accumulator is: through a cast of the weight it would be rounded before gradients are summed. A weight of
 * the dtype of x is multiplied as {@link matmul} does, and one in half precision by float32 x is cast.
 */
export function matmulWeight(x: Tensor, weight: Tensor, options: Omit<MatmulOptions, 'transposeA'> = {}): Tensor {
  requireFloat('matmulWeight', 'x', x);
  requireOptions('matmulWeight', options);
  requireRank('matmulWeight', 'the weight', weight, 2);
  requireFloat('matmulWeight', 'the weight', weight);
  if (weight.dtype === x.dtype) return matmul(x, weight, options);
  if (x.dtype === 'float32') return matmul(x, cast(weight, 'float32'), options);
  const { transposeB = false } = options;
  const { engine } = x;
  const low = engine.noGrad(() => cast(weight, x.dtype));
  const out = engine.noGrad(() => matmul(x, low, options));
  engine.tape?.record({
    op: 'matmulWeight',
    inputs: [x, weight],
    outputs: [out],
    saved: [x, low],
    backward: ([upstream], [rows, columns], needs) => {
      const dy = cast(upstream!, rows!.dtype);
      const layout = layoutOf(rows!.shape, columns!.shape, false, transposeB);
      return [
        needs[0] ? leftGradient(dy, rows!, columns!, layout, false, transposeB) : null,
        needs[1] ? rightGradient(dy, rows!, columns!, layout, false, transposeB, 'float32') : null,
      ];
    },
  });
  return out;
}

/** The product as the kernel sees it: a [batch, ..], b [batch or 1, ..], out [batch, M, N]. */
interface Layout {
  readonly batch: number;
  readonly a: Shape;
  readonly b: Shape;
  readonly M: number;
  readonly N: number;
}

function layoutOf(a: Shape, b: Shape, transposeA: boolean, transposeB: boolean): Layout {
  const [rowsA, columnsA] = a.slice(-2) as [number, number];
  const [rowsB, columnsB] = b.slice(-2) as [number, number];
  const leading = sizeOf(a.slice(0, -2));
  // b shared by a batch of untransposed rows is one tall product.
  const tall = b.length === 2 && !transposeA;
  return {
    batch: tall ? 1 : leading,
    a: tall ? [1, leading * rowsA, columnsA] : [leading, rowsA, columnsA],
    b: [b.length === 2 ? 1 : leading, rowsB, columnsB],
    M: tall ? leading * rowsA : transposeA ? columnsA : rowsA,
    N: transposeB ? rowsB : columnsB,
  };
}

/** da = dy·bᵀ, with b on the right because only the right-hand side may be shared by the batch. */
function leftGradient(dy: Tensor, a: Tensor, b: Tensor, layout: Layout, transposeA: boolean, transposeB: boolean): Tensor {
  const { engine } = a;
  const dyView = view(dy, [layout.batch, layout.M, layout.N]);
  const bView = view(b, layout.b);
  const da = engine.empty(a.shape, a.dtype);
  if (!transposeA) {
    engine.kernels.matmul({ a: dyView, b: bView }, { out: view(da, layout.a) }, { transposeA: false, transposeB: !transposeB });
  } else if (layout.b[0] === layout.batch) {
    engine.kernels.matmul({ a: bView, b: dyView }, { out: view(da, layout.a) }, { transposeA: transposeB, transposeB: true });
  } else {
    const flipped = engine.empty([layout.batch, layout.M, layout.a[1]!], a.dtype);
    engine.kernels.matmul({ a: dyView, b: bView }, { out: flipped }, { transposeA: false, transposeB: !transposeB });
    engine.kernels.transpose({ x: flipped }, { out: view(da, layout.a) }, { permutation: [0, 2, 1] });
  }
  return da;
}

/** db = aᵀ·dy per batch row; a shared b collects the gradients of all. */
function rightGradient(dy: Tensor, a: Tensor, b: Tensor, layout: Layout, transposeA: boolean, transposeB: boolean, dtype: DType = b.dtype): Tensor {
  const { engine } = a;
  const dyView = view(dy, [layout.batch, layout.M, layout.N]);
  const aView = view(a, layout.a);
  const db = engine.empty(b.shape, dtype);
  const shared = layout.b[0] !== layout.batch;
  const target = shared ? engine.empty([layout.batch, ...b.shape.slice(-2)], dtype) : view(db, layout.b);
  if (transposeB) engine.kernels.matmul({ a: dyView, b: aView }, { out: target }, { transposeA: true, transposeB: transposeA });
  else engine.kernels.matmul({ a: aView, b: dyView }, { out: target }, { transposeA: !transposeA, transposeB: false });
  if (shared) engine.kernels.reduce({ x: target }, { out: db }, { op: 'sum', outer: 1, size: layout.batch, inner: b.size });
  return db;
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

/**
 * Grouped matmul over ragged segments: row r of segment g (offsets[g] ≤ r < offsets[g + 1]) times w[g].
 * x [R, K], w [G, K, M] ([G, M, K] with transposeW), offsets int32 [G + 1] → [R, M]. Rows after the last segment are 0.
 */
export function groupedMatmul(x: Tensor, w: Tensor, offsets: Tensor, options: { transposeW?: boolean } = {}): Tensor {
  const op = 'groupedMatmul';
  const engine = engineOf(op, 'x', x);
  requireOptions(op, options);
  const transposeW = options.transposeW ?? false;
  requireSameEngine(op, x, w, offsets);
  requireGroups(op, x, w, offsets, transposeW);
  const out = engine.empty([x.shape[0]!, w.shape[transposeW ? 1 : 2]!], x.dtype);
  engine.kernels.groupedMatmul({ x, w, offsets }, { out }, { transposeW });
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
  x.engine.kernels.groupedMatmulWeightGrad({ x: transposeW ? dy : x, dy: transposeW ? x : dy, offsets }, { out });
  return out;
}
