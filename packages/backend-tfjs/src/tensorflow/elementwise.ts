// Element-wise primitives, reductions, movement, gathers and scatters as TensorFlow's operations. Indices outside are clamped and masked, because
// TensorFlow refuses them on some devices.
import { sizeOf, type Operand, type RequiredKernels } from '@xmoe/core';
import { sameShape } from '@xmoe/core/backend';
import { boxOf, MOST_KNOWN } from '../box.js';
import { BINARY, COMPARE, UNARY } from '../operation-names.js';
import type { Id, Ops } from './ops.js';

/** TensorFlow's own names, where they differ. */
const NAMES = { ...BINARY, add: 'AddV2', multiply: 'Mul', remainder: 'FloorMod' } satisfies typeof BINARY;

type Direct =
  | 'fill' | 'unary' | 'cast' | 'binary' | 'compare' | 'select' | 'reduce' | 'transpose' | 'slice' | 'broadcast' | 'concat' | 'matmul';
type Indexing = 'gatherRows' | 'scatterAddRows' | 'takeAlongLast' | 'addAlongLast' | 'topK';

/** Products with a side of at most so many keep their digits: there is little to gain, and those of routers, where digits decide, are among them. */
const MOST_EXACT = 64;

/** Contents of an operand on the host, where they can be had without waiting. */
export type ReadNow = ((operand: Operand) => ArrayLike<number>) | null;

/** The pieces that several primitives are made of. Types are those of the first input. */
export function createPieces(ops: Ops, read: ReadNow) {
  const { run, scalar, vector } = ops;
  const f32 = { T: 'float32' };
  const reduce = (kernel: 'Sum' | 'Max' | 'Min' | 'Mean', x: Id, axis: number, keep: boolean, type = 'float32'): Id =>
    run(kernel, { T: type, Tidx: 'int32', keep_dims: keep }, x, scalar(axis, 'int32'));
  const float = (name: string) => (...inputs: Id[]): Id => run(name, f32, ...inputs);
  /** Indices in 0 … size − 1, and where they were already, both in the shape of `index`. */
  const bounded = (index: Id, size: number): { safe: Id; inside: Id } => {
    const safe = run('ClipByValue', { T: 'int32' }, index, scalar(0, 'int32'), scalar(size - 1, 'int32'));
    return { safe, inside: run('Equal', { T: 'int32' }, index, safe) };
  };
  const gather = (x: Id, index: Id, type: string, axis = 0, batch = 0): Id =>
    run('GatherV2', { Tparams: type, Tindices: 'int32', Taxis: 'int32', 'int:batch_dims': batch }, x, index, scalar(axis, 'int32'));
  const select = (condition: Id, a: Id, b: Id, type = 'float32'): Id => run('SelectV2', { T: type }, condition, a, b);
  const zero = (type: string): Id => (type === 'float32' ? scalar(0) : run('Cast', { SrcT: 'int32', DstT: type, Truncate: false }, scalar(0, 'int32')));
  /** Whether every index is one of 0 … size − 1, as far as the host can see. */
  const allInside = (indices: Operand, size: number): boolean => {
    if (!read) return false;
    const index = read(indices);
    for (let i = 0; i < index.length; i++) if (!(index[i]! >= 0 && index[i]! < size)) return false;
    return true;
  };
  /** Rows of x [R, D] at indices [n] of an operand; zero rows outside. */
  const rowsAt = (x: Id, indices: Operand, R: number, type = 'float32'): Id => (
    allInside(indices, R) ? gather(x, ops.id(indices), type) : gatherRows(x, ops.id(indices), R, indices.shape[0]!, type)
  );
  /** Rows of x [R, D] at index [n]; zero rows outside. */
  const gatherRows = (x: Id, index: Id, R: number, n: number, type = 'float32'): Id => {
    const { safe, inside } = bounded(index, R);
    return select(ops.reshape(inside, [n, 1]), gather(x, safe, type), zero(type), type);
  };
  /** Sums the rows of x by index [n] into `segments` rows; those outside are dropped, as TensorFlow drops negative ones. */
  const scatterRows = (x: Id, index: Id, segments: number, type = 'float32'): Id => {
    const inside = run('Less', { T: 'int32' }, index, scalar(segments, 'int32'));
    const safe = select(inside, index, scalar(-1, 'int32'), 'int32');
    return run('UnsortedSegmentSum', { T: type, Tindices: 'int32', Tnumsegments: 'int32' }, x, safe, scalar(segments, 'int32'));
  };
  /** out[r, j] = x[r, index[r, j]], 0 outside. */
  const take = (x: Id, index: Id, C: number, type = 'float32'): Id => {
    const { safe, inside } = bounded(index, C);
    return select(inside, gather(x, safe, type, 1, 1), zero(type), type);
  };
  /** Of two factors, in float32. Also of matrices: TensorFlow's own MatMul was seen to damage the heap (2.18.1, with a sampling profiler beside it). */
  const matmul = (a: Id, b: Id, adjA: boolean, adjB: boolean, products = ops.products): Id => {
    const product = run('BatchMatMulV2', { T: products, adj_x: adjA, adj_y: adjB }, a, b);
    return products === 'float32' ? product : run('Cast', { SrcT: products, DstT: 'float32', Truncate: false }, product);
  };
  return {
    reduce, bounded, allInside, gather, select, rowsAt, gatherRows, scatterRows, take, matmul,
    add: float('AddV2'), subtract: float('Sub'), multiply: float('Mul'), divide: float('RealDiv'), maximum: float('Maximum'), minimum: float('Minimum'),
    exp: float('Exp'), square: float('Square'), sqrt: float('Sqrt'), rsqrt: float('Rsqrt'),
    /** x·y, 0 where y is 0 whatever x is. */
    multiplyNoNan: float('MulNoNan'),
    /** Row numbers times `step`: [0, step, 2·step, …] as [n, 1]. */
    rowStarts: (n: number, step: number): Id => ops.reshape(run('Range', { Tidx: 'int32' }, scalar(0, 'int32'), scalar(n * step, 'int32'), scalar(step, 'int32')), [n, 1]),
    shape: vector,
  };
}

export type Pieces = ReturnType<typeof createPieces>;

export function directElementwise(ops: Ops, pieces: Pieces): Pick<RequiredKernels, Direct> {
  const { run, id, put, scalar, vector } = ops;
  return {
    fill(_inputs, { out }, { value }) {
      const number = out.dtype === 'float32' ? scalar(value) : out.dtype === 'int32' ? scalar(value | 0, 'int32') : run('Cast', { SrcT: 'float32', DstT: 'bool', Truncate: false }, scalar(value));
      put(out, run('Fill', { T: out.dtype, index_type: 'int32' }, vector(out.shape), number));
    },
    unary({ x }, { out }, { op }) {
      const result = run(UNARY[op], op === 'logicalNot' ? {} : { T: x.dtype }, id(x));
      // Of NaN TensorFlow gives 0 for its sign.
      put(out, op === 'sign' && x.dtype === 'float32' ? pieces.select(run('Equal', { T: 'float32' }, id(x), id(x)), result, id(x)) : result);
    },
    cast({ x }, { out }) {
      if (x.dtype === out.dtype) put(out, run('Identity', { T: x.dtype }, id(x)));
      else if (x.dtype === 'float32' && out.dtype === 'int32') put(out, toWhole(ops, pieces, id(x)));
      else put(out, run('Cast', { SrcT: x.dtype, DstT: out.dtype, Truncate: false }, id(x)));
    },
    binary: ({ a, b }, { out }, { op }) => put(out, run(NAMES[op], op === 'logicalAnd' || op === 'logicalOr' ? {} : { T: out.dtype }, id(a), id(b))),
    compare({ a, b }, { out }, { op }) {
      const isBool = a.dtype === 'bool';
      const [left, right] = [a, b].map((x) => (isBool ? run('Cast', { SrcT: 'bool', DstT: 'int32', Truncate: false }, id(x)) : id(x))) as [Id, Id];
      put(out, run(COMPARE[op], { T: isBool ? 'int32' : a.dtype }, left, right));
    },
    select: ({ condition, a, b }, { out }) => {
      const chosen = pieces.select(id(condition), id(a), id(b), out.dtype);
      const isWhole = [condition, a, b].some(({ shape }) => sizeOf(shape) === sizeOf(out.shape));
      put(out, isWhole ? chosen : run('BroadcastTo', { T: out.dtype, Tidx: 'int32' }, chosen, vector(out.shape)));
    },
    reduce({ x }, { out }, { op, outer, size, inner }) {
      const kernel = op === 'sum' ? 'Sum' : op === 'max' ? 'Max' : 'Min';
      // One axis of x as it is, where that is what is seen as the middle one.
      const axis = x.shape.findIndex((extent, at) => extent === size && sizeOf(x.shape.slice(0, at)) === outer && sizeOf(x.shape.slice(at + 1)) === inner);
      const keep = out.shape.length === x.shape.length;
      if (axis >= 0 && sameShape(out.shape, keep ? x.shape.with(axis, 1) : x.shape.toSpliced(axis, 1))) return put(out, pieces.reduce(kernel, id(x), axis, keep, x.dtype));
      put(out, ops.reshape(pieces.reduce(kernel, ops.reshape(id(x), [outer, size, inner]), 1, false, x.dtype), out.shape));
    },
    transpose: ({ x }, { out }, { permutation }) => put(out, run('Transpose', { T: x.dtype, Tperm: 'int32' }, id(x), vector(permutation))),
    slice: ({ x }, { out }, { begin }) => put(out, run('Slice', { T: x.dtype, Index: 'int32' }, id(x), vector(begin), vector(out.shape))),
    broadcast: ({ x }, { out }) => put(out, run('BroadcastTo', { T: x.dtype, Tidx: 'int32' }, id(x), vector(out.shape))),
    // TensorFlow's own takes two tensors or more.
    concat({ parts }, { out }, { axis }) {
      put(out, parts.length === 1
        ? run('Identity', { T: out.dtype }, id(parts[0]!))
        : run('ConcatV2', { 'int:N': parts.length, T: out.dtype, Tidx: 'int32' }, ...parts.map(id), scalar(axis, 'int32')));
      if (sizeOf(out.shape) <= MOST_KNOWN && out.shape.length === 1) boxOf(out).known = knownOf(parts);
    },
    matmul({ a, b }, { out }, { transposeA, transposeB }) {
      const [B, M, N] = out.shape as [number, number, number];
      const K = b.shape[transposeB ? 2 : 1]!;
      const products = Math.min(M, N, K) <= MOST_EXACT ? 'float32' : ops.products;
      const factor = products === 'float32' ? id : ops.factorOf;
      if (b.shape[0] === B || transposeA) return put(out, pieces.matmul(factor(a), factor(b), transposeA, transposeB, products));
      const rows = ops.reshape(factor(a), [1, B * M, K]);
      put(out, ops.reshape(pieces.matmul(rows, factor(b), false, transposeB, products), out.shape));
    },
  };
}

export function directIndexing(ops: Ops, pieces: Pieces): Pick<RequiredKernels, Indexing> {
  const { run, id, put, scalar } = ops;
  return {
    gatherRows: ({ x, indices }, { out }) => put(out, pieces.rowsAt(id(x), indices, x.shape[0]!, x.dtype)),
    scatterAddRows: ({ x, indices }, { out }) => put(out, pieces.scatterRows(id(x), id(indices), out.shape[0]!, x.dtype)),
    takeAlongLast: ({ x, indices }, { out }) => put(out, pieces.take(id(x), id(indices), x.shape[1]!, x.dtype)),
    addAlongLast: ({ x, indices }, { out }) => put(out, addAlongLast(ops, pieces, x, indices, out)),
    topK({ x }, { values, indices }) {
      // Infinities are made finite, and NaN the lowest of all.
      const LARGEST = 3.4028234663852886e38;
      const finite = pieces.maximum(id(x), scalar(-LARGEST));
      const isNan = run('IsNan', { T: 'float32' }, id(x));
      const ordered = pieces.select(isNan, scalar(-Infinity), finite);
      const [, order] = ops.runMany('TopKV2', { sorted: true, T: 'float32', Tk: 'int32', index_type: 'int32' }, [ordered, scalar(values.shape[1]!, 'int32')], 2) as [Id, Id];
      put(values, pieces.gather(id(x), order, 'float32', 1, 1));
      put(indices, order);
    },
  };
}

/** What is known of parts one after another. */
function knownOf(parts: readonly Operand[]): Float32Array | null {
  const known = parts.map((part) => boxOf(part).known);
  if (known.every((numbers) => numbers === null)) return null;
  return Float32Array.from(parts.flatMap(({ shape }, index) => [...(known[index] ?? new Float32Array(sizeOf(shape)).fill(NaN))]));
}

function addAlongLast(ops: Ops, { bounded, select, rowStarts }: Pieces, x: Operand, indices: Operand, out: Operand): Id {
  const [R, C] = out.shape as [number, number];
  const index = ops.id(indices);
  const { inside } = bounded(index, C);
  const flat = ops.run('AddV2', { T: 'int32' }, index, rowStarts(R, C));
  const places = ops.reshape(select(inside, flat, ops.scalar(-1, 'int32'), 'int32'), [sizeOf(indices.shape)]);
  const attributes = { T: x.dtype, Tindices: 'int32', Tnumsegments: 'int32' };
  return ops.reshape(ops.run('UnsortedSegmentSum', attributes, ops.reshape(ops.id(x), [sizeOf(x.shape)]), places, ops.scalar(R * C, 'int32')), [R, C]);
}

/** float32 → int32 as the contract says. Beyond the range, and of NaN, TensorFlow's Cast gives different numbers on different devices. */
function toWhole({ run, scalar }: Ops, { select }: Pieces, x: Id): Id {
  const highest = 2 ** 31 - 128; // the largest float32 below 2^31
  const number = select(run('IsNan', { T: 'float32' }, x), scalar(0), x);
  const inside = run('ClipByValue', { T: 'float32' }, number, scalar(-(2 ** 31)), scalar(highest));
  const whole = run('Cast', { SrcT: 'float32', DstT: 'int32', Truncate: false }, inside);
  return select(run('Greater', { T: 'float32' }, number, scalar(highest)), scalar(2 ** 31 - 1, 'int32'), whole, 'int32');
}
