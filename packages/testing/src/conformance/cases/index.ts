// All cases, by primitive. A primitive without an entry here is a compile error.
import type { FusedKernels, KernelName } from '@xmoe/core';
import type { ConformanceCase } from '../case.js';
import * as activation from './activation.js';
import * as attention from './attention.js';
import * as broadcasting from './broadcasting.js';
import * as crossEntropy from './cross-entropy.js';
import * as dispatch from './dispatch.js';
import * as dropout from './dropout.js';
import * as elementwise from './elementwise.js';
import * as expertPass from './expert-pass.js';
import * as experts from './experts.js';
import * as indexing from './indexing.js';
import * as matmul from './matmul.js';
import * as movement from './movement.js';
import * as normalization from './normalization.js';
import * as optimizer from './optimizer.js';
import * as reduce from './reduce.js';
import * as routing from './routing.js';
import * as softmax from './softmax.js';
import * as sorting from './sorting.js';

/** Which primitives are fused: checked natively, where a backend has them, and as fallbacks. */
const FUSED: Record<keyof FusedKernels, readonly ConformanceCase[]> = {
  softmax: softmax.softmax,
  softmaxGrad: softmax.softmaxGrad,
  crossEntropyStats: crossEntropy.crossEntropyStats,
  crossEntropyGrad: crossEntropy.crossEntropyGrad,
  layerNorm: normalization.layerNorm,
  layerNormGrad: normalization.layerNormGrad,
  biasActivation: activation.biasActivation,
  biasActivationGrad: activation.biasActivationGrad,
  attention: attention.attention,
  attentionGrad: attention.attentionGrad,
  dropout: dropout.dropout,
  adamStep: optimizer.adamStep,
  addRows: indexing.addRows,
  sumSquares: reduce.sumSquares,
  thresholdSelect: routing.thresholdSelect,
  dispatchClaims: dispatch.dispatchClaims,
  groupedLinear: experts.groupedLinear,
  groupedLinearWeightGrad: experts.groupedLinearWeightGrad,
  expertsGrad: experts.expertsGrad,
  expertsForward: expertPass.expertsForward,
  expertsBackward: expertPass.expertsBackward,
  combineExperts: routing.combineExperts,
  combineExpertsGrad: routing.combineExpertsGrad,
};

export const CONFORMANCE_CASES = {
  fill: elementwise.fill,
  iota: elementwise.iota,
  random: elementwise.random,
  unary: elementwise.unary,
  binary: broadcasting.binary,
  compare: broadcasting.compare,
  select: broadcasting.select,
  cast: elementwise.cast,
  reduce: reduce.reduce,
  argReduce: reduce.argReduce,
  cumsum: reduce.cumsum,
  matmul: matmul.matmul,
  transpose: movement.transpose,
  slice: movement.slice,
  broadcast: movement.broadcast,
  concat: movement.concat,
  gatherRows: indexing.gatherRows,
  scatterAddRows: indexing.scatterAddRows,
  takeAlongLast: indexing.takeAlongLast,
  addAlongLast: indexing.addAlongLast,
  topK: sorting.topK,
  sortByKey: sorting.sortByKey,
  bincount: reduce.bincount,
  groupedMatmul: matmul.groupedMatmul,
  groupedMatmulWeightGrad: matmul.groupedMatmulWeightGrad,
  ...FUSED,
} satisfies Record<KernelName, readonly ConformanceCase[]>;

export function isFused(primitive: KernelName): primitive is keyof FusedKernels {
  return Object.hasOwn(FUSED, primitive);
}
