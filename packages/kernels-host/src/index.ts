// The kernels of the contract as loops over arrays of the host, and the parts of them that other kernels are made of. Backends adapt the
// table to their operands.
import type { KernelAttributes, KernelName } from '@xmoe/core';
import { biasActivation, biasActivationGrad } from './activation.js';
import { attention, attentionGrad } from './attention.js';
import { binary, compare, select } from './broadcasting.js';
import { crossEntropyGrad, crossEntropyStats } from './cross-entropy.js';
import { dispatchClaims } from './dispatch.js';
import { dropout } from './dropout.js';
import { cast, fill, iota, random, unary } from './elementwise.js';
import { expertsBackward, expertsForward } from './expert-pass.js';
import { expertsGrad, groupedLinear, groupedLinearWeightGrad } from './experts.js';
import type { HostView, ViewInputs, ViewOutputs } from './host-view.js';
import { addAlongLast, addRows, gatherRows, scatterAddRows, takeAlongLast } from './indexing.js';
import { groupedMatmul, groupedMatmulWeightGrad, matmul } from './matmul.js';
import { broadcast, concat, slice, transpose } from './movement.js';
import { layerNorm, layerNormGrad } from './normalization.js';
import { adamStep } from './optimizer.js';
import { argReduce, bincount, cumsum, reduce, sumSquares } from './reduce.js';
import { combineExperts, combineExpertsGrad, thresholdSelect } from './routing.js';
import { softmax, softmaxGrad } from './softmax.js';
import { sortByKey, topK } from './sorting.js';

export { GELU_CUBIC, GELU_FAR, GELU_SLOPE, segmentsOf } from './activation.js';
export { pickedLogit } from './cross-entropy.js';
export { dropoutRun } from './dropout.js';
export { floats, int32s, type FloatArray, type HostView, type NumericArray } from './host-view.js';
export { allMinusInfinity } from './softmax.js';

/** A kernel of this package. */
export type HostKernel<Name extends KernelName> = (
  inputs: ViewInputs<Name>, outputs: ViewOutputs<Name>, attributes: KernelAttributes<Name>,
) => void;

/** What a field of `inputs` or `outputs` holds. */
export type HostViewField = HostView | readonly HostView[] | null;
export type HostViews = Readonly<Record<string, HostViewField>>;
/** Any kernel of this package, for adapters. */
export type AnyHostKernel = (inputs: HostViews, outputs: HostViews, attributes: unknown) => void;

/** Every primitive: exhaustive by type. Floats are float32, or float64 in their place; those that move elements take any dtype. */
export const HOST_KERNELS: { readonly [Name in KernelName]: HostKernel<Name> } = {
  fill, iota, random, unary, binary, compare, select, cast,
  reduce, argReduce, cumsum, matmul,
  transpose, slice, broadcast, concat,
  gatherRows, scatterAddRows, takeAlongLast, addAlongLast,
  topK, sortByKey, bincount,
  groupedMatmul, groupedMatmulWeightGrad,
  softmax, softmaxGrad, crossEntropyStats, crossEntropyGrad,
  layerNorm, layerNormGrad, biasActivation, biasActivationGrad,
  attention, attentionGrad, dropout,
  adamStep, addRows, sumSquares,
  thresholdSelect, dispatchClaims,
  groupedLinear, groupedLinearWeightGrad, expertsGrad, expertsForward, expertsBackward, combineExperts, combineExpertsGrad,
};

/** Primitives whose outputs are read too. */
export const UPDATERS: ReadonlySet<string> = new Set<KernelName>(['adamStep', 'addRows']);

/** Primitives that only move elements: they take float16 as its bits. */
export const MOVERS: ReadonlySet<string> = new Set<KernelName>(['select', 'transpose', 'slice', 'broadcast', 'concat', 'gatherRows', 'takeAlongLast']);
