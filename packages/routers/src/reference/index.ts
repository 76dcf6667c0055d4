// The routers on plain arrays: no tensor, no backend, no dependency beyond @xmoe/core's errors and random numbers.
// The oracle of the tensor routers, and usable alone. Not fast.
export { type AuctionOptions, auctionAssign, assignmentScore } from './auction.js';
export { type BaseOptions, routeBase } from './base.js';
export { type BiasedTopKOptions, nextQuantile, nextSignBias, routeQuantile, routeSignBias } from './biased-top-k.js';
export { type ControlledThresholdOptions, type ControllerOptions, nextControlledThreshold, routeControlledThreshold } from './controlled-threshold.js';
export { type ExpertThresholdOptions, nextExpertThreshold, routeExpertThreshold } from './expert-threshold.js';
export { type Gate, type GateOptions, rowLogSumExp, softmaxGate } from './gate.js';
export { type HashMapOptions, type HashOptions, createHashMap, routeHash } from './hash.js';
export type { FlatLogits, Logits, Mask, Precision } from './logits.js';
export { type GateProbabilities, balanceLoss, countRealTokens, meanProbability, topChoiceShare, zLoss } from './losses.js';
export { type NullExpertsOptions, nextNullExperts, routeNullExperts } from './null-experts.js';
export { optimalAssign } from './optimal-assignment.js';
export type { NullChoices, PlainState, RouteGroup, Routing, WeightSource } from './routing.js';
export type { ScoreOptions } from './scores.js';
export { type RouterStatistics, routerStatistics } from './statistics.js';
export { type ThresholdOptions, countToThreshold, routeThreshold } from './threshold.js';
export { type TopKOptions, gumbelNoise, routeSwitch, routeTopK } from './top-k.js';
export { type UniformOptions, routeUniform } from './uniform.js';
