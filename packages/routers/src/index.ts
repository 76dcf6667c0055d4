// The public surface of @xmoe/routers: routers on tensors. The same on plain arrays is @xmoe/routers/reference; all by name, from
// configurations, are @xmoe/routers/by-name.
export { type BaseRouterOptions, createBaseRouter } from './base.js';
export { createQuantileRouter, createSignBiasRouter, type QuantileRouterOptions, type SignBiasRouterOptions } from './biased-top-k.js';
export { type ControlledThresholdRouterOptions, createControlledThresholdRouter } from './controlled-threshold.js';
export { createExpertThresholdRouter, type ExpertThresholdRouterOptions } from './expert-threshold.js';
export { gate, gateProbabilities } from './gate.js';
export { createHashRouter, type HashRouterOptions } from './hash.js';
export { balanceLoss, zLoss } from './losses.js';
export { createNullExpertsRouter, type NullExpertsRouterOptions } from './null-experts.js';
export { CLAIM_PRIORITIES, type ClaimPriority, defineRouter, type Router, type RouterDefinition, type RouterInput, type Routing, type RoutingParts } from './router.js';
export { initialState, type RouterState, type StateTensors } from './router-state.js';
export { readRouterStatistics, routerStatistics, type RouterStatistics, type RouterStatisticsTensors } from './statistics.js';
export { createThresholdRouter, type ThresholdRouterOptions } from './threshold.js';
export { createSwitchRouter, createTopKRouter, type SwitchRouterOptions, type TopKRouterOptions } from './top-k.js';
export { createUniformRouter, type UniformRouterOptions } from './uniform.js';
