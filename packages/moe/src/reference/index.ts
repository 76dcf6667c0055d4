// The MoE layer on plain arrays: capacity, priority, dispatch plans, forward and all gradients in float64. No tensor and no
// backend. The oracle of the tensor layer, and usable alone. Not fast.
export { type ExpertActivation, activationOf } from './activation.js';
export { type CapacityOptions, budgetOf, capacityOf, MIN_CAPACITY } from './capacity.js';
export { type Claim, comparePriority, listClaims } from './claims.js';
export { type MoeFlops, type MoeFlopsOptions, moeFlops } from './flops.js';
export { type LossCoefficients, type MoeGradients, moeLayerGradients } from './layer-gradients.js';
export { type MoeLayerInput, type MoeLayerOutput, type MoeParameters, moeLayerReference } from './layer.js';
export { type DispatchPath, type DispatchPlan, type KeptClaim, type PlanOptions, planDispatch } from './plan.js';
export { type PlanStatistics, planStatistics } from './statistics.js';
