// Gathers, scatters, sorts and counts through TensorFlow.js kernels. Indices outside are clamped and masked (gathers) or
// sent to one spare row (scatters), because TensorFlow refuses them on some devices and ignores them on others.
// On CUDA the order of sums in UnsortedSegmentSum is TensorFlow's, not ours.
import { sizeOf, type RequiredKernels } from '@xmoe/core';
import type { TfTensor } from '../tfjs-module.js';
import type { NativeCalls } from './native-calls.js';

/** The largest finite float32. */
const LARGEST = 3.4028234663852886e38;
/** The finite float32 below it. */
const SECOND_LARGEST = 3.4028232635611926e38;

type Indexing = 'gatherRows' | 'scatterAddRows' | 'takeAlongLast' | 'addAlongLast' | 'topK' | 'sortByKey' | 'bincount';

/** The pieces that the primitives are put together from. */
function indexingSteps({ run, runMany, constant, reshape }: NativeCalls, { exactOrder, wholeSums }: IndexingTraits) {

  /** Whether 0 ≤ index < size, as bool in the shape of `index`. */
  const inside = (index: TfTensor, size: number): TfTensor =>
    run('LogicalAnd', {
      a: run('GreaterEqual', { a: index, b: constant([0], 'int32') }),
      b: run('Less', { a: index, b: constant([size], 'int32') }),
    });
  const clamp = (index: TfTensor, size: number): TfTensor =>
    run('Minimum', { a: run('Maximum', { a: index, b: constant([0], 'int32') }), b: constant([size - 1], 'int32') });
  const filled = (shape: readonly number[], value: number, dtype: string): TfTensor =>
    run('Cast', { x: run('Fill', {}, { shape: [...shape], value, dtype: 'int32' }) }, { dtype });

  /** Rows of x [R, D] at `index` [n]; zero rows outside. */
  const gather = (x: TfTensor, index: TfTensor, R: number, D: number): TfTensor => {
    const n = index.size;
    const rows = run('GatherV2', { x, indices: clamp(index, R) }, { axis: 0, batchDims: 0 });
    const mask = run('Tile', { x: reshape(inside(index, R), [n, 1]) }, { reps: [1, D] });
    return run('Select', { condition: mask, t: rows, e: filled([n, D], 0, x.dtype) });
  };
  /** Sums the rows of x [n, …] into `segments` rows by `index` [n]; those outside are dropped. */
  const scatter = (x: TfTensor, index: TfTensor, segments: number): TfTensor => {
    const spare = filled([index.size], segments, 'int32');
    const safe = run('Select', { condition: inside(index, segments), t: index, e: spare });
    const viaFloat = x.dtype === 'int32' && !wholeSums;
    const sums = run('UnsortedSegmentSum', { x: viaFloat ? run('Cast', { x }, { dtype: 'float32' }) : x, segmentIds: safe }, { numSegments: segments + 1 });
    const rest = x.shape.slice(1);
    const used = run('Slice', { x: sums }, { begin: [0, ...rest.map(() => 0)], size: [segments, ...rest] });
    return viaFloat ? run('Cast', { x: used }, { dtype: 'int32' }) : used;
  };
  /** Flat positions r·C + indices[r, j] as [R·k]; −1 where the index is outside. */
  const flatPositions = (indices: TfTensor, R: number, C: number): TfTensor => {
    const k = indices.shape[1]!;
    const rowStart = constant(Array.from({ length: R }, (_, r) => r * C), 'int32', [R, 1]);
    const flat = run('Add', { a: indices, b: rowStart });
    return reshape(run('Select', { condition: inside(indices, C), t: flat, e: filled([R, k], -1, 'int32') }), [R * k]);
  };
  const limit = (value: number): TfTensor => constant([value], 'float32');
  /**
   * Indices of the k largest of the last axis [..., C], NaN last: −∞ stands for NaN, and the lowest finite number for −∞. Where the
   * build subtracts what it compares, finite numbers stand for both infinities.
   */
  const largest = (x: TfTensor, k: number): TfTensor => {
    if (x.dtype !== 'float32') return runMany('TopK', { x }, { k, sorted: true })[1];
    const lowest = exactOrder ? -Infinity : -LARGEST;
    const bounded = run('Minimum', { a: run('Maximum', { a: x, b: limit(exactOrder ? -LARGEST : -SECOND_LARGEST) }), b: limit(exactOrder ? Infinity : LARGEST) });
    const last = run('Cast', { x: run('Fill', {}, { shape: [...x.shape], value: lowest, dtype: 'float32' }) }, { dtype: 'float32' });
    const ordered = run('Select', { condition: run('IsNan', { x }), t: last, e: bounded });
    return runMany('TopK', { x: ordered }, { k, sorted: true })[1];
  };
  return { filled, gather, scatter, flatPositions, largest };
}

export interface IndexingTraits {
  /** The build's TopK orders infinities; the one of TensorFlow.js cpu subtracts them and gets NaN. */
  readonly exactOrder: boolean;
  /** The build sums int32 by segment; the one of TensorFlow.js webgpu takes their bits for floats. */
  readonly wholeSums: boolean;
}

export function nativeIndexing(calls: NativeCalls, traits: IndexingTraits): Pick<RequiredKernels, Indexing> {
  const { run, tensor, put, constant, reshape } = calls;
  const { filled, gather, scatter, flatPositions, largest } = indexingSteps(calls, traits);
  return {
    gatherRows({ x, indices }, { out }) {
      const [R, D] = x.shape;
      put(out, gather(tensor(x), tensor(indices), R, D));
    },
    scatterAddRows: ({ x, indices }, { out }) => put(out, scatter(tensor(x), tensor(indices), out.shape[0])),
    takeAlongLast({ x, indices }, { out }) {
      const [R, C] = x.shape;
      put(out, gather(reshape(tensor(x), [R * C, 1]), flatPositions(tensor(indices), R, C), R * C, 1));
    },
    addAlongLast({ x, indices }, { out }) {
      const [R, C] = out.shape;
      put(out, scatter(reshape(tensor(x), [sizeOf(x.shape)]), flatPositions(tensor(indices), R, C), R * C));
    },
    topK({ x }, { values, indices }) {
      const [R, C] = x.shape;
      const order = largest(tensor(x), values.shape[1]);
      const flat = flatPositions(order, R, C);
      put(values, gather(reshape(tensor(x), [R * C, 1]), flat, R * C, 1));
      put(indices, order);
    },
    sortByKey({ keys }, { permutation }) {
      // The largest of −key, lowest index first, is the stable ascending order; −1 − key cannot overflow int32.
      const flipped =
        keys.dtype === 'int32'
          ? run('Sub', { a: constant([-1], 'int32'), b: tensor(keys) })
          : run('Neg', { x: tensor(keys) });
      put(permutation, largest(flipped, keys.shape[0]));
    },
    bincount: ({ x }, { out }) => put(out, scatter(filled([sizeOf(x.shape)], 1, 'int32'), tensor(x), out.shape[0])),
  };
}
