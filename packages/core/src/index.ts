// The public surface of @xmoe/core, for those who write models. What backends need besides is in backend.ts.
export {
  describeArgument, refuseUnknownKeys, requireFinite, requireFlag, requireInteger, requireName, requireOptions, requireRandomKey, unknownName,
} from './checks.js';
export type {
  BackendBuffer, Operand, UnaryOp, BinaryOp, CompareOp, ReduceOp, Activation, DispatchPath, AxisView, AttentionOptions, CrossEntropyChunk,
  NoOperands, RequiredKernels, FusedKernels, Kernels, BackendKernels, KernelName, KernelInputs, KernelOutputs, KernelAttributes,
  OperandField, Operands, AnyKernel, BackendCapabilities, CommandRecording, KernelTime, TuneReport, Backend,
} from './contract.js';
export { DTYPES, encodeFloat16, decodeFloat16, type DType, type FloatDType, type TensorData } from './dtype.js';
export { createEngine, Engine, type DataInput, type EngineOptions, type MemoryReport } from './engine.js';
export { XMoEError, isXMoEError, nearestName, type ErrorCode, type ErrorDetails } from './errors.js';
export { valueAndGrad, grad, vjp, customGradient, checkpoint, mapTree, type ValueAndGrad, type LossResult, type Vjp } from './grad.js';
export type { GroupedProducts } from './grouped-products.js';
export {
  parameter, initializeParameters, countParameters, isTrained, wholeOf, withoutRepeatedStates, statesOf, addSums, type Initializer,
  type ParameterSpec, type Parameters, type ForwardContext, type FeedForwardResult, type FeedForward, type LayerState,
} from './module.js';
export {
  biasActivation, ACTIVATIONS, gelu, dropout, attention, crossEntropy, linearCrossEntropy, dispatchClaims, add, subtract, multiply,
  divide, maximum, minimum, power, floorDivide, remainder, logicalAnd, logicalOr, equal, notEqual, less, lessEqual, greater, greaterEqual,
  negate, abs, sign, exp, log, sqrt, rsqrt, square, reciprocal, tanh, erf, sigmoid, relu, sin, cos, floor, ceil, logicalNot, select, cast,
  groupedLinear, gatherRows, scatterAddRows, addRows, takeAlongLast, addAlongLast, matmul, matmulWeight, groupedMatmul, reshape, transpose, slice,
  pad, broadcastTo, concat, softmax, logSoftmax, logSumExp, layerNorm, adamStep, assign, sumSquares, randomUniform, randomNormal, randomGumbel,
  sum, mean, max, min, argMax, argMin, cumsum, thresholdSelect, combineExperts, topK, sortByKey, bincount, split, type AttentionArguments,
  type CrossEntropyOptions, type LinearCrossEntropyOptions, type DispatchedClaims, type DispatchOptions, type TensorLike,
  type GroupedLinearOptions, type MatmulOptions, type ReduceOptions, type ThresholdSelection, type ThresholdSelectOptions, type TopK,
} from './ops/index.js';
export { ratio } from './ratio.js';
export { randomKey, foldIn, hashName, hostUniform, hostNormal, hostPermutation, type RandomKey } from './random.js';
export { createReplay, type Replay, type Segment } from './replay.js';
export { sizeOf, formatShape, type Shape } from './shape.js';
export type { Backward, Recording } from './tape.js';
export { collectTensors, Tensor, type TensorTree } from './tensor.js';
