// The table of all kernels: exhaustive by type. Those wrapped in withHalf compute in float32 for float16 operands; the others
// take float32 only, or only move elements.
import type { Kernels } from '@xmoe/core';
import { withHalf } from '../half.js';
import { biasActivation, biasActivationGrad } from './activation.js';
import { attention, attentionGrad } from './attention.js';
import { binary, compare, select } from './broadcasting.js';
import { crossEntropyGrad, crossEntropyStats } from './cross-entropy.js';
import { dispatchClaims } from './dispatch.js';
import { dropout } from './dropout.js';
import { cast, fill, iota, random, unary } from './elementwise.js';
import { expertsGrad, groupedLinear, groupedLinearWeightGrad } from './experts.js';
import { addAlongLast, gatherRows, scatterAddRows, takeAlongLast } from './indexing.js';
import { groupedMatmul, groupedMatmulWeightGrad, matmul } from './matmul.js';
import { broadcast, concat, slice, transpose } from './movement.js';
import { layerNorm, layerNormGrad } from './normalization.js';
import { adamStep } from './optimizer.js';
import { argReduce, bincount, cumsum, reduce, sumSquares } from './reduce.js';
import { combineExperts, combineExpertsGrad, thresholdSelect } from './routing.js';
import { softmax, softmaxGrad } from './softmax.js';
import { sortByKey, topK } from './sorting.js';

export function createKernels(): Kernels {
  return {
    fill: withHalf(fill),
    iota,
    random,
    unary: withHalf(unary),
    binary: withHalf(binary),
    compare: withHalf(compare),
    select,
    cast: withHalf(cast),
    reduce: withHalf(reduce),
    argReduce: withHalf(argReduce),
    cumsum,
    matmul: withHalf(matmul),
    transpose,
    slice,
    broadcast,
    concat,
    gatherRows,
    scatterAddRows: withHalf(scatterAddRows),
    takeAlongLast,
    addAlongLast: withHalf(addAlongLast),
    topK: withHalf(topK),
    sortByKey,
    bincount,
    groupedMatmul: withHalf(groupedMatmul),
    groupedMatmulWeightGrad: withHalf(groupedMatmulWeightGrad),
    softmax: withHalf(softmax),
    softmaxGrad: withHalf(softmaxGrad),
    crossEntropyStats: withHalf(crossEntropyStats),
    crossEntropyGrad: withHalf(crossEntropyGrad),
    layerNorm: withHalf(layerNorm),
    layerNormGrad: withHalf(layerNormGrad),
    biasActivation: withHalf(biasActivation),
    biasActivationGrad: withHalf(biasActivationGrad),
    attention: withHalf(attention),
    attentionGrad: withHalf(attentionGrad),
    dropout: withHalf(dropout),
    adamStep,
    sumSquares: withHalf(sumSquares),
    thresholdSelect: withHalf(thresholdSelect),
    dispatchClaims,
    groupedLinear: withHalf(groupedLinear),
    groupedLinearWeightGrad: withHalf(groupedLinearWeightGrad),
    expertsGrad: withHalf(expertsGrad),
    combineExperts: withHalf(combineExperts),
    combineExpertsGrad: withHalf(combineExpertsGrad),
  };
}
