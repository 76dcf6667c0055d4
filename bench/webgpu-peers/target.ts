// What the WebGPU backend promises. On a software adapter only the ratios to TensorFlow.js count. It measures nothing.
import { atLeast, atMost } from '../peers/target.js';

export const WEBGPU_TARGETS = {
  /** Train step of `tiny`, times less than through the TensorFlow.js WebGPU backend. */
  step: atLeast(3),
  dispatches: atLeast(3),
  tax: atMost(1.5),
  granularity: atMost(1.3),
  routerShare: atMost(0.1),
  theirs: {},
} as const;
