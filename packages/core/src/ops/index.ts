// Every op by name.
export { biasActivation, ACTIVATIONS, gelu, dropout } from './activation.js';
export { attention, type AttentionArguments } from './attention.js';
export { crossEntropy, linearCrossEntropy, type CrossEntropyOptions, type LinearCrossEntropyOptions } from './cross-entropy.js';
export { dispatchClaims, type DispatchedClaims, type DispatchOptions } from './dispatch.js';
export {
  add, subtract, multiply, divide, maximum, minimum, power, floorDivide, remainder, logicalAnd, logicalOr, equal, notEqual, less,
  lessEqual, greater, greaterEqual, negate, abs, sign, exp, log, sqrt, rsqrt, square, reciprocal, tanh, erf, sigmoid, relu, sin, cos,
  floor, ceil, logicalNot, select, cast, type TensorLike,
} from './elementwise.js';
export { groupedLinear, type GroupedLinearOptions } from './experts.js';
export { gatherRows, scatterAddRows, addRows, takeAlongLast, addAlongLast } from './indexing.js';
export { matmul, matmulWeight, groupedMatmul, type MatmulOptions } from './matmul.js';
export { reshape, transpose, slice, pad, broadcastTo, concat } from './movement.js';
export { softmax, logSoftmax, logSumExp, layerNorm } from './normalization.js';
export { adamStep, assign, sumSquares } from './optimizer.js';
export { randomUniform, randomNormal, randomGumbel } from './random.js';
export { sum, mean, max, min, argMax, argMin, cumsum, type ReduceOptions } from './reduce.js';
export { thresholdSelect, combineExperts, type ThresholdSelection, type ThresholdSelectOptions } from './routing.js';
export { topK, sortByKey, bincount, type TopK } from './sorting.js';
export { split } from './split.js';
