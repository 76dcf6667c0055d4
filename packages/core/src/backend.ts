// The surface for those who write backends: the contract, the fallbacks, helpers for dtypes and shapes, host loops that results must agree
// on. What models are made of is in the main entry.
export type {
  BackendBuffer, Operand, UnaryOp, BinaryOp, CompareOp, ReduceOp, Activation, DispatchPath, AxisView, AttentionOptions, CrossEntropyChunk,
  NoOperands, RequiredKernels, FusedKernels, Kernels, BackendKernels, KernelName, KernelInputs, KernelOutputs, KernelAttributes,
  OperandField, Operands, AnyKernel, BackendCapabilities, CommandRecording, KernelTime, TuneReport, Backend,
} from './contract.js';
export {
  bytesPerElement, decodeFloat16, DTYPES, encodeFloat16, hostArray, isFloat, LOWEST_FLOAT32, toWhole, type DType, type FloatDType, type TensorData,
} from './dtype.js';
export { createFallbacks } from './fallbacks/index.js';
export { stableArgsort } from './host-sort.js';
export { byTime } from './kernel-timer.js';
export { fillUniform, streamCounter, type RandomKey } from './random.js';
export { axisView, broadcastShapes, collapseBroadcast, formatShape, normalizeAxis, sameShape, sizeOf, stridesOf, type Shape } from './shape.js';
export { countToReach, massToReach, MASS_ONE, SOFTMAX_SLACK } from './threshold-mass.js';
