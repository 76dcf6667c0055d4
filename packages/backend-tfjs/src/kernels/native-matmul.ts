// matmul, the grouped matmuls and softmax through TensorFlow.js kernels. Grouped products read their offsets back (a few
// integers): TensorFlow.js has no ragged product, so the segments are sliced at known rows.
import type { FusedKernels, Operand, RequiredKernels } from '@xmoe/core';
import { boxOf, type BoxStore } from '../box.js';
import type { TfTensor } from '../tfjs-module.js';
import { packedBytes } from '../wasm-allocator.js';
import type { NativeCalls } from './native-calls.js';

type Products = 'matmul' | 'groupedMatmul' | 'groupedMatmulWeightGrad';

export function nativeMatmul(calls: NativeCalls, store: BoxStore): Pick<RequiredKernels, Products> & Pick<FusedKernels, 'softmax'> {
  const { run, tensor, put } = calls;
  const product = (a: TfTensor, b: TfTensor, transposeA: boolean, transposeB: boolean): TfTensor => {
    const [rows, columns] = b.shape.slice(1);
    store.requireRoom(packedBytes(rows, columns));
    return run('BatchMatMul', { a, b }, { transposeA, transposeB });
  };
  const readOffsets = (offsets: Operand): ArrayLike<number> => store.storage.readSync(store.tensorOf(boxOf(offsets)).dataId);
  /** Rows first … end of x [R, D] as [1, n, D]. */
  const segment = (x: TfTensor, first: number, end: number): TfTensor => {
    const D = x.shape[1]!;
    return calls.reshape(run('Slice', { x }, { begin: [first, 0], size: [end - first, D] }), [1, end - first, D]);
  };
  const group = (w: TfTensor, g: number): TfTensor =>
    run('Slice', { x: w }, { begin: [g, 0, 0], size: [1, w.shape[1]!, w.shape[2]!] });
  const zeros = (shape: number[]): TfTensor => run('Fill', {}, { shape, value: 0, dtype: 'float32' });
  const join = (parts: TfTensor[], axis: number): TfTensor => (parts.length === 1 ? parts[0] : run('Concat', parts, { axis }));

  return {
    matmul({ a, b }, { out }, { transposeA, transposeB }) {
      const [B, M] = out.shape;
      if (b.shape[0] === B) return put(out, product(tensor(a), tensor(b), transposeA, transposeB));
      if (transposeA) {
        return put(out, product(tensor(a), run('Tile', { x: tensor(b) }, { reps: [B, 1, 1] }), transposeA, transposeB));
      }
      put(out, product(calls.reshape(tensor(a), [1, B * M, a.shape[2]]), tensor(b), false, transposeB));
    },
    groupedMatmul({ x, w, offsets }, { out }, { transposeW }) {
      const at = readOffsets(offsets);
      const [R, M] = out.shape;
      const [rows, weights] = [tensor(x), tensor(w)];
      const parts: TfTensor[] = [];
      for (let g = 0; g + 1 < at.length; g++) {
        if (at[g + 1] === at[g]) continue;
        const part = product(segment(rows, at[g], at[g + 1]), group(weights, g), false, transposeW);
        parts.push(calls.reshape(part, [at[g + 1] - at[g], M]));
      }
      const end = at[at.length - 1];
      if (end < R) parts.push(zeros([R - end, M]));
      put(out, join(parts, 0));
    },
    groupedMatmulWeightGrad({ x, dy, offsets }, { out }) {
      const at = readOffsets(offsets);
      const [G, K, M] = out.shape;
      const [rows, upstream] = [tensor(x), tensor(dy)];
      const parts = Array.from({ length: G }, (_, g) =>
        at[g + 1] === at[g] ? zeros([1, K, M]) : product(segment(rows, at[g], at[g + 1]), segment(upstream, at[g], at[g + 1]), true, false),
      );
      put(out, join(parts, 0));
    },
    softmax({ x }, { out }) {
      const [R, C] = x.shape;
      const logits = tensor(x);
      const peak = run('Max', { x: logits }, { reductionIndices: [1], keepDims: false });
      const empty = run('Equal', { a: calls.reshape(peak, [R, 1]), b: calls.constant([-Infinity], 'float32') });
      const condition = run('Tile', { x: empty }, { reps: [1, C] });
      put(out, run('Select', { condition, t: zeros([R, C]), e: run('Softmax', { logits }, { dim: 1 }) }));
    },
  };
}
