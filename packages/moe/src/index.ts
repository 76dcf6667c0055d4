// The public surface of @xmoe/moe: the layer on tensors. The same on plain arrays is @xmoe/moe/reference.
export { type DecomposedWeights, type DenseSizes, type DenseWeights, splitDense } from './decompose.js';
export { applyExperts, type ExpertActivation, type ExpertsOptions, type ExpertsResult, type ExpertWeights } from './experts.js';
export { expertsOfRank, type ExpertRanks } from './expert-ranks.js';
export { createMoeFeedForward, type MoeFeedForwardConfig } from './feed-forward.js';
export { denseFlops, equalFlopsHidden, moeFlops, type MoeFlops, type MoeFlopsOptions } from './flops.js';
export { requireSpreading } from './spread-experts.js';
export { claimTotals, planDispatch, type DispatchPath, type DispatchPlan, type PlanOptions } from './plan.js';
export { budgetOf, capacityOf, MIN_CAPACITY, type CapacityOptions } from './reference/capacity.js';
export { disposeTrace, summarizeTrace, type RoutingSummary, type RoutingTrace, type TokenTrace } from './trace.js';
