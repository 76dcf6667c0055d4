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
    fill: withHalf('fill', fill),
    iota,
    random,
    unary: withHalf('unary', unary),
    binary: withHalf('binary', binary),
    compare: withHalf('compare', compare),
    select,
    cast: withHalf('cast', cast),
    reduce: withHalf('reduce', reduce),
    argReduce: withHalf('argReduce', argReduce),
    cumsum,
    matmul: withHalf('matmul', matmul),
    transpose,
    slice,
    broadcast,
    concat,
    gatherRows,
    scatterAddRows: withHalf('scatterAddRows', scatterAddRows),
    takeAlongLast,
    addAlongLast: withHalf('addAlongLast', addAlongLast),
    topK: withHalf('topK', topK),
    sortByKey,
    bincount,
    groupedMatmul: withHalf('groupedMatmul', groupedMatmul),
    groupedMatmulWeightGrad: withHalf('groupedMatmulWeightGrad', groupedMatmulWeightGrad),
    softmax: withHalf('softmax', softmax),
    softmaxGrad: withHalf('softmaxGrad', softmaxGrad),
    crossEntropyStats: withHalf('crossEntropyStats', crossEntropyStats),
    crossEntropyGrad: withHalf('crossEntropyGrad', crossEntropyGrad),
    layerNorm: withHalf('layerNorm', layerNorm),
    layerNormGrad: withHalf('layerNormGrad', layerNormGrad),
    biasActivation: withHalf('biasActivation', biasActivation),
    biasActivationGrad: withHalf('biasActivationGrad', biasActivationGrad),
    attention: withHalf('attention', attention),
    attentionGrad: withHalf('attentionGrad', attentionGrad),
    dropout: withHalf('dropout', dropout),
    adamStep,
    sumSquares: withHalf('sumSquares', sumSquares),
    thresholdSelect: withHalf('thresholdSelect', thresholdSelect),
    dispatchClaims,
    groupedLinear: withHalf('groupedLinear', groupedLinear),
    groupedLinearWeightGrad: withHalf('groupedLinearWeightGrad', groupedLinearWeightGrad),
    expertsGrad: withHalf('expertsGrad', expertsGrad),
    combineExperts: withHalf('combineExperts', combineExperts),
    combineExpertsGrad: withHalf('combineExpertsGrad', combineExpertsGrad),
  };
}
