// Temporary operands for fallbacks: a small vocabulary of required primitives that allocate their result.
// Freed together when the fallback returns. Not for users: they have tensors.
import type { Backend, BinaryOp, CompareOp, FusedKernels, Operand, ReduceOp, RequiredKernels, UnaryOp } from '../contract.js';
import type { DType } from '../dtype.js';
import { axisView, collapseBroadcast, padRank, sizeOf, broadcastShapes } from '../shape.js';

export class Scratch {
  readonly kernels: RequiredKernels;
  /** For fallbacks that are made of other fused primitives: the backend's own, or their fallbacks. */
  readonly fused: FusedKernels;
  readonly #backend: Backend;
  readonly #made: Operand[] = [];

  constructor(backend: Backend, fused: FusedKernels) {
    this.#backend = backend;
    this.fused = fused;
    this.kernels = backend.kernels;
  }

  empty(shape: readonly number[], dtype: DType = 'float32'): Operand {
    const operand = { buffer: this.#backend.allocate(dtype, sizeOf(shape)), shape, dtype };
    this.#made.push(operand);
    return operand;
  }

  free(): void {
    this.#freeFrom(0);
  }

  /** Frees what `fn` made when it returns, not only when the fallback does. */
  scope(fn: () => void): void {
    const before = this.#made.length;
    try {
      fn();
    } finally {
      this.#freeFrom(before);
    }
  }

  #freeFrom(index: number): void {
    for (const operand of this.#made.splice(index)) this.#backend.free(operand.buffer);
  }

  full(shape: readonly number[], value: number, dtype: DType = 'float32'): Operand {
    const out = this.empty(shape, dtype);
    this.kernels.fill({}, { out }, { value });
    return out;
  }

  unary(op: UnaryOp, x: Operand, out = this.empty(x.shape, x.dtype)): Operand {
    this.kernels.unary({ x }, { out }, { op });
    return out;
  }

  /** Broadcasting; `b` may be a number. */
  binary(op: BinaryOp, a: Operand, b: Operand | number, into?: Operand): Operand {
    const right = typeof b === 'number' ? this.full([1], b, a.dtype) : b;
    const out = into ?? this.empty(broadcastShapes(a.shape, right.shape, op), a.dtype);
    const [left, other, target] = aligned(a, right, out);
    this.kernels.binary({ a: left, b: other }, { out: target }, { op });
    return out;
  }

  compare(op: CompareOp, a: Operand, b: Operand | number): Operand {
    const right = typeof b === 'number' ? this.full([1], b, a.dtype) : b;
    const out = this.empty(broadcastShapes(a.shape, right.shape, op), 'bool');
    const [left, other, target] = aligned(a, right, out);
    this.kernels.compare({ a: left, b: other }, { out: target }, { op });
    return out;
  }

  /** condition, a and b broadcast to the shape of `out` (default: of a). */
  select(condition: Operand, a: Operand, b: Operand | number, into?: Operand): Operand {
    const other = typeof b === 'number' ? this.full([1], b, a.dtype) : b;
    const out = into ?? this.empty(a.shape, a.dtype);
    const rank = out.shape.length;
    const pad = (x: Operand): Operand => reshape(x, padRank(x.shape, rank));
    this.kernels.select({ condition: pad(condition), a: pad(a), b: pad(other) }, { out });
    return out;
  }

  cast(x: Operand, dtype: DType, into?: Operand): Operand {
    if (!into && x.dtype === dtype) return x;
    const out = into ?? this.empty(x.shape, dtype);
    this.kernels.cast({ x }, { out });
    return out;
  }

  /** Reduces one axis and keeps it with size 1, or writes `into`. */
  reduce(op: ReduceOp, x: Operand, axis: number, into?: Operand): Operand {
    const shape = x.shape.map((extent, index) => (index === axis ? 1 : extent));
    const out = into ?? this.empty(shape, x.dtype);
    this.kernels.reduce({ x }, { out }, { op, ...axisView(x.shape, axis) });
    return out;
  }

  matmul(a: Operand, b: Operand, transposeA: boolean, transposeB: boolean, into?: Operand): Operand {
    const rows = transposeA ? a.shape[2]! : a.shape[1]!;
    const columns = transposeB ? b.shape[1]! : b.shape[2]!;
    const out = into ?? this.empty([a.shape[0]!, rows, columns]);
    this.kernels.matmul({ a, b }, { out }, { transposeA, transposeB });
    return out;
  }

  gatherRows(x: Operand, indices: Operand, into?: Operand): Operand {
    const out = into ?? this.empty([indices.shape[0]!, x.shape[1]!], x.dtype);
    this.kernels.gatherRows({ x, indices }, { out });
    return out;
  }

  iota(length: number, dtype: DType = 'int32'): Operand {
    const out = this.empty([length], dtype);
    this.kernels.iota({}, { out }, { start: 0, step: 1 });
    return out;
  }

  /** Writes x into out, converting if the dtypes differ. */
  copy(x: Operand, out: Operand): void {
    this.kernels.cast({ x: reshape(x, out.shape) }, { out });
  }
}

/** The same buffer with another shape of the same size. */
export function reshape(x: Operand, shape: readonly number[]): Operand {
  return { buffer: x.buffer, shape, dtype: x.dtype };
}

function aligned(a: Operand, b: Operand, out: Operand): [Operand, Operand, Operand] {
  const rank = out.shape.length;
  const collapsed = collapseBroadcast(out.shape, padRank(a.shape, rank), padRank(b.shape, rank));
  return [reshape(a, collapsed.inputs[0]!), reshape(b, collapsed.inputs[1]!), reshape(out, collapsed.out)];
}
