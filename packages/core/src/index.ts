// The public surface of @xmoe/core.
export {
  describeArgument, refuseUnknownKeys, requireFinite, requireFlag, requireInteger, requireOptions, requireRandomKey, unknownName,
} from './checks.js';
export * from './contract.js';
export { watchKernels, type NonFiniteWatch } from './debug.js';
export * from './dtype.js';
export { createEngine, Engine, type DataInput, type EngineOptions, type MemoryReport } from './engine.js';
export * from './errors.js';
export { createFallbacks } from './fallbacks/index.js';
export * from './grad.js';
export { stableArgsort } from './host-sort.js';
export type { GroupedProducts } from './grouped-products.js';
export { byTime } from './kernel-timer.js';
export * from './module.js';
export * from './ops/index.js';
export * from './random.js';
export { createReplay, type Replay, type Segment } from './replay.js';
export * from './shape.js';
export type { Backward, Recording } from './tape.js';
export { countToReach, massToReach } from './threshold-mass.js';
export { collectTensors, Tensor, type TensorTree } from './tensor.js';
