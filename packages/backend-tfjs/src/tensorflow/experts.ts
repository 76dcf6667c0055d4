// The experts' products over rows by segment, the middle of their gradient, and what joins their outputs. TensorFlow has no ragged product: the
// offsets are read, which costs nothing where the device is the CPU and waits elsewhere; equal segments are one batched product.
import type { FusedKernels, Operand, RequiredKernels } from '@xmoe/core';
import { segmentsOf, type Activations } from './activation.js';
import type { Pieces } from './elementwise.js';
import type { Id, Ops, Products } from './ops.js';

type Grouped = Pick<RequiredKernels, 'groupedMatmul' | 'groupedMatmulWeightGrad'>;
type Linear = Pick<FusedKernels, 'groupedLinear' | 'groupedLinearWeightGrad'>;

/** Segments of R rows. */
interface Cut {
  readonly count: number;
  /** Rows of each, as numbers of the host; null: only the device knows. */
  readonly sizes: readonly number[] | null;
  /** Whether rows may come after the last one. */
  readonly hasRest: boolean;
  /** Rows of each where all have as many, and there are none after them. */
  readonly equal: number | null;
  /** int32: rows of each, and of what comes after them where there may be some. */
  lengths(): Id;
}

export interface Offsets {
  /** What the host knows or may read at once; null in a recording, where segments differ from replay to replay. */
  read(offsets: Operand): ArrayLike<number> | null;
  /** Whether equal segments are one batched product. */
  batches(offsets: Operand): boolean;
}

function createCuts({ run, id, vector, upload, scalar }: Ops, { read, batches }: Offsets): (offsets: Operand, R: number) => Cut {
  const onDevice = (offsets: Operand, R: number): Cut => {
    const count = offsets.shape[0]! - 1;
    const lengths = (): Id => {
      const ends = run('Slice', { T: 'int32', Index: 'int32' }, id(offsets), vector([1]), vector([count]));
      const all = run('ConcatV2', { 'int:N': 2, T: 'int32', Tidx: 'int32' }, ends, vector([R]), scalar(0, 'int32'));
      return run('Sub', { T: 'int32' }, all, id(offsets));
    };
    return { count, sizes: null, hasRest: true, equal: null, lengths };
  };
  return (offsets, R) => {
    const at = read(offsets);
    if (!at) return onDevice(offsets, R);
    const sizes = Array.from({ length: at.length - 1 }, (_, g) => at[g + 1]! - at[g]!);
    const rest = R - at[at.length - 1]!;
    const equal = batches(offsets) && rest === 0 && sizes.length > 0 && sizes[0]! > 0 && sizes.every((size) => size === sizes[0]) ? sizes[0]! : null;
    const all = rest > 0 ? [...sizes, rest] : sizes;
    return { count: sizes.length, sizes, hasRest: rest > 0, equal, lengths: () => upload(Int32Array.from(all), [all.length]) };
  };
}

function createProducts(ops: Ops, { add, matmul }: Pieces) {
  const { run, runMany, id, scalar, vector, reshape, factor, factorOf, products } = ops;
  const zeros = (shape: readonly number[]): Id => run('Fill', { T: 'float32', index_type: 'int32' }, vector(shape), scalar(0));
  const join = (parts: readonly Id[]): Id => (parts.length === 1 ? parts[0]! : run('ConcatV2', { 'int:N': parts.length, T: 'float32', Tidx: 'int32' }, ...parts, scalar(0, 'int32')));
  /** A factor [R, …] cut into its segments, and the rest after them; parts share its memory where they are aligned. */
  const split = (x: Id, { count, hasRest, lengths }: Cut): Id[] => {
    const parts = count + (hasRest ? 1 : 0);
    if (parts === 1) return [x];
    return runMany('SplitV', { T: products, Tlen: 'int32', 'int:num_split': parts }, [x, lengths(), scalar(0, 'int32')], parts);
  };
  /** Rows of zeros after the last segment. */
  const restOf = ({ count, lengths }: Cut, M: number): Id => {
    const rows = run('Slice', { T: 'int32', Index: 'int32' }, lengths(), vector([count]), vector([1]));
    return run('Fill', { T: 'float32', index_type: 'int32' }, run('ConcatV2', { 'int:N': 2, T: 'int32', Tidx: 'int32' }, rows, vector([M]), scalar(0, 'int32')), scalar(0));
  };
  const apart = (w: Id, G: number, type: Products): Id[] => runMany('Unpack', { T: type, 'int:num': G, 'int:axis': 0 }, [w], G);
  /** Rows of x [R, K] by segment times w [G, …]: [R, M]. Bias [G, M] is added where there is one. */
  const product = (x: Id, w: Operand, bias: Operand | null, cut: Cut, R: number, M: number, transposeW: boolean): Id => {
    const G = cut.count;
    const K = w.shape[transposeW ? 2 : 1]!;
    if (cut.equal) {
      const batched = matmul(reshape(factor(x), [G, cut.equal, K]), factorOf(w), false, transposeW);
      return reshape(bias ? add(batched, reshape(id(bias), [G, 1, M])) : batched, [R, M]);
    }
    const [rows, weights] = [split(factor(x), cut), apart(factorOf(w), G, products)];
    const biases = bias ? apart(id(bias), G, 'float32') : null;
    const parts: Id[] = [];
    for (let g = 0; g < G; g++) {
      if (cut.sizes?.[g] === 0) continue;
      const part = matmul(rows[g]!, weights[g]!, false, transposeW);
      parts.push(biases ? run('BiasAdd', { T: 'float32' }, part, biases[g]!) : part);
    }
    if (cut.hasRest) parts.push(restOf(cut, M));
    return join(parts);
  };
  const weightGradient = (x: Id, dy: Id, cut: Cut, K: number, M: number): Id => {
    const G = cut.count;
    const [left, right] = [factor(x), factor(dy)];
    if (cut.equal) return matmul(reshape(left, [G, cut.equal, K]), reshape(right, [G, cut.equal, M]), true, false);
    const [rows, slopes] = [split(left, cut), split(right, cut)];
    const parts = Array.from({ length: G }, (_, g) => (cut.sizes?.[g] === 0 ? zeros([K, M]) : matmul(rows[g]!, slopes[g]!, true, false)));
    return run('Pack', { 'int:N': G, T: 'float32', 'int:axis': 0 }, ...parts);
  };
  return { product, weightGradient };
}

export function groupedKernels(ops: Ops, pieces: Pieces, { activate }: Activations, bounds: Offsets): Grouped & Linear {
  const { run, id, put, scalar, reshape } = ops;
  const { multiply, select, gather, rowsAt, scatterRows, bounded, allInside } = pieces;
  const { product, weightGradient } = createProducts(ops, pieces);
  const cutOf = createCuts(ops, bounds);
  const taken = (x: Operand, rows: Operand | null): Id => (rows ? rowsAt(id(x), rows, x.shape[0]!) : id(x));
  return {
    groupedMatmul({ x, w, offsets }, { out }, { transposeW }) {
      const [R, M] = out.shape as [number, number];
      put(out, product(id(x), w, null, cutOf(offsets, R), R, M, transposeW));
    },
    groupedMatmulWeightGrad({ x, dy, offsets }, { out }) {
      put(out, weightGradient(id(x), id(dy), cutOf(offsets, x.shape[0]!), x.shape[1]!, dy.shape[1]!));
    },
    groupedLinear({ x, rows, w, bias, offsets }, { out, pre }, { transposeW, activation }) {
      const [R, M] = out.shape as [number, number];
      const cut = cutOf(offsets, R);
      // Rows without a source are multiplied as those of another, and cleared: a pass less than clearing both.
      const source = rows && !allInside(rows, x.shape[0]!) ? bounded(id(rows), x.shape[0]!) : null;
      const gathered = rows ? gather(id(x), source?.safe ?? id(rows), 'float32') : id(x);
      const linear = product(gathered, w, bias, cut, R, M, transposeW);
      const clean = source ? select(reshape(source.inside, [R, 1]), linear, scalar(0)) : linear;
      if (pre) put(pre, run('Identity', { T: 'float32' }, clean));
      put(out, activate(clean, activation)); // every activation of 0 is 0
    },
    groupedLinearWeightGrad({ x, xRows, dy, dyRows, scale, offsets }, { dw, dbias }) {
      const [, K, M] = dw.shape as [number, number, number];
      const R = (xRows ?? x).shape[0]!;
      const upstream = taken(dy, dyRows);
      const scaled = scale ? multiply(upstream, reshape(id(scale), [R, 1])) : upstream;
      put(dw, weightGradient(taken(x, xRows), scaled, cutOf(offsets, R), K, M));
      if (dbias) put(dbias, scatterRows(scaled, segmentsOf(ops, offsets, R).groups, dbias.shape[0]!));
    },
  };
}

type Joining = Pick<FusedKernels, 'expertsGrad' | 'combineExperts' | 'combineExpertsGrad'>;

export function joiningKernels(ops: Ops, pieces: Pieces, { activate, flow }: Activations): Joining {
  const { run, id, put, scalar, reshape } = ops;
  const { add, multiply, select, reduce, allInside, gatherRows, scatterRows } = pieces;
  const flat = ({ shape: [T, K] }: Operand): number => T! * K!;
  /** Token of each row; −1 stays −1. */
  const tokensOf = (rowClaim: Operand, K: number): Id => run('FloorDiv', { T: 'int32' }, id(rowClaim), scalar(Math.max(1, K), 'int32'));
  /** Weight of each row, 0 of an empty one: [R, 1]. */
  const weightsOf = (weights: Operand, rowClaim: Operand): Id => gatherRows(reshape(id(weights), [flat(weights), 1]), id(rowClaim), flat(weights), rowClaim.shape[0]!);
  /** A number of each row [R, 1] at its claim [T, K], 0 of a claim without a row. */
  const toClaims = (x: Id, claimRow: Operand, R: number): Id => reshape(gatherRows(x, reshape(id(claimRow), [flat(claimRow)]), R, flat(claimRow)), claimRow.shape);
  return {
    expertsGrad({ pre, dHidden, weights, b2, dy, rowClaim, claimRow, offsets }, { dPre, hidden, dWeights, rowWeight }, { activation }) {
      const R = pre.shape[0]!;
      const used = allInside(rowClaim, Infinity) ? null : reshape(run('GreaterEqual', { T: 'int32' }, id(rowClaim), scalar(0, 'int32')), [R, 1]);
      const onlyUsed = (x: Id): Id => (used === null ? x : select(used, x, scalar(0)));
      const after = onlyUsed(activate(id(pre), activation));
      put(rowWeight, reshape(weightsOf(weights, rowClaim), [R]));
      if (dWeights) {
        // E(x)·dy = h·(dy·w2ᵀ) + b2·dy, without the output of the expert.
        const { groups, count } = segmentsOf(ops, offsets, R);
        const biases = gatherRows(id(b2), groups, count, R);
        const upstream = gatherRows(id(dy), tokensOf(rowClaim, claimRow.shape[1]!), dy.shape[0]!, R);
        const dots = add(reduce('Sum', multiply(after, id(dHidden)), 1, true), reduce('Sum', multiply(biases, upstream), 1, true));
        put(dWeights, toClaims(dots, claimRow, R));
      }
      put(dPre, onlyUsed(flow(id(pre), id(dHidden), activation)));
      put(hidden, after);
    },
    combineExperts({ expertOut, weights, claimRow, rowClaim }, { out }) {
      const weighted = multiply(id(expertOut), weightsOf(weights, rowClaim));
      put(out, scatterRows(weighted, tokensOf(rowClaim, claimRow.shape[1]!), out.shape[0]!));
    },
    combineExpertsGrad({ expertOut, weights, claimRow, rowClaim, dy }, { dExpertOut, dWeights }) {
      const R = expertOut.shape[0]!;
      const upstream = gatherRows(id(dy), tokensOf(rowClaim, claimRow.shape[1]!), dy.shape[0]!, R);
      put(dExpertOut, multiply(upstream, weightsOf(weights, rowClaim)));
      put(dWeights, toClaims(reduce('Sum', multiply(upstream, id(expertOut)), 1, true), claimRow, R));
    },
  };
}
