// All routers by name, one row each: options, both forms, and what programs ask of one before they make it. What a router does is in its
// own files.
import { unknownName } from '@xmoe/core';
import { BASE_OPTIONS, createBaseRouter } from './base.js';
import { QUANTILE_OPTIONS, SIGN_BIAS_OPTIONS, createQuantileRouter, createSignBiasRouter } from './biased-top-k.js';
import { CONTROLLED_THRESHOLD_OPTIONS, createControlledThresholdRouter } from './controlled-threshold.js';
import { EXPERT_THRESHOLD_OPTIONS, createExpertThresholdRouter } from './expert-threshold.js';
import { HASH_OPTIONS, createHashRouter } from './hash.js';
import { NULL_EXPERTS_OPTIONS, createNullExpertsRouter } from './null-experts.js';
import type { FilledOptions, Options, OptionsOf } from './options.js';
import { routeBase } from './reference/base.js';
import { routeByTokenId } from './reference/hash.js';
import { nextQuantile, nextSignBias, routeQuantile, routeSignBias } from './reference/biased-top-k.js';
import { nextControlledThreshold, routeControlledThreshold } from './reference/controlled-threshold.js';
import { nextExpertThreshold, routeExpertThreshold } from './reference/expert-threshold.js';
import { nextNullExperts, nullExpertsOf, routeNullExperts } from './reference/null-experts.js';
import type { PlainState, RouteGroup, Routing } from './reference/routing.js';
import { routeThreshold } from './reference/threshold.js';
import { routeSwitch, routeTopK } from './reference/top-k.js';
import { routeUniform } from './reference/uniform.js';
import type { Router } from './router.js';
import { THRESHOLD_OPTIONS, createThresholdRouter } from './threshold.js';
import { SWITCH_OPTIONS, TOP_K_OPTIONS, createSwitchRouter, createTopKRouter } from './top-k.js';
import { UNIFORM_OPTIONS, createUniformRouter } from './uniform.js';

/** What is known of a router by name. */
export interface RouterRow<O extends Options> {
  /** Kinds, ranges and defaults; configurations, their schemas and flags derive from them. */
  readonly options: O;
  /** On tensors. */
  readonly create: (options: OptionsOf<O>) => Router;
  /** On plain arrays: what the tensor form is tested against. */
  readonly reference: (options: OptionsOf<O>, group: RouteGroup) => Routing;
  /** The state after an update on plain arrays, for routers that have one. */
  readonly next?: (options: OptionsOf<O>, state: PlainState, sums: PlainState) => PlainState;
  /** Whether a layer with it has a gate, as the router itself will say. Absent: it has. */
  readonly usesGate?: (options: OptionsOf<O>) => boolean;
  /** Columns of the gate for N experts, as the router itself will say. Absent: N. */
  readonly gateOutputs?: (options: OptionsOf<O>, experts: number) => number;
  /** Values for required options where only the name is given. Choices per token are as many as γ pays for. */
  readonly whenNamed?: (layer: { readonly capacityFactor: number }) => Partial<FilledOptions<O>>;
}

const row = <O extends Options>(facts: RouterRow<O>): RouterRow<O> => facts;

/** Equal FLOPs: as many choices as the capacity factor pays for. */
const paidChoices = ({ capacityFactor }: { capacityFactor: number }): { k: number } => ({ k: Math.max(1, Math.round(capacityFactor)) });

export const ROUTERS = {
  threshold: row({
    options: THRESHOLD_OPTIONS,
    create: createThresholdRouter,
    reference: (options, { logits, mask, precision }) => routeThreshold(logits!, { ...options, mask, precision }),
    whenNamed: () => ({ threshold: 0.9 }),
  }),
  'controlled-threshold': row({
    options: CONTROLLED_THRESHOLD_OPTIONS,
    create: createControlledThresholdRouter,
    reference: (options, { logits, mask, precision, training, state }) => routeControlledThreshold(logits!, { ...options, mask, precision, training, state }),
    next: nextControlledThreshold,
    whenNamed: ({ capacityFactor }) => ({ target: Math.max(1, capacityFactor) }),
  }),
  topk: row({
    options: TOP_K_OPTIONS,
    create: createTopKRouter,
    reference: ({ noise, noiseInEvaluation, ...options }, { logits, mask, precision, training, key }) =>
      routeTopK(logits!, { ...options, mask, precision, noiseKey: noise && (training || noiseInEvaluation) ? key : undefined }),
    whenNamed: paidChoices,
  }),
  switch: row({
    options: SWITCH_OPTIONS,
    create: createSwitchRouter,
    reference: (options, { logits, mask, precision }) => routeSwitch(logits!, { ...options, mask, precision }),
  }),
  quantile: row({
    options: QUANTILE_OPTIONS,
    create: createQuantileRouter,
    reference: (options, { logits, mask, precision, training, state }) => routeQuantile(logits!, { ...options, mask, precision, training, state }),
    next: nextQuantile,
    whenNamed: paidChoices,
  }),
  'sign-bias': row({
    options: SIGN_BIAS_OPTIONS,
    create: createSignBiasRouter,
    reference: (options, { logits, mask, precision, training, state }) => routeSignBias(logits!, { ...options, mask, precision, training, state }),
    next: nextSignBias,
    whenNamed: paidChoices,
  }),
  'expert-threshold': row({
    options: EXPERT_THRESHOLD_OPTIONS,
    create: createExpertThresholdRouter,
    reference: (options, { logits, mask, precision, training, state }) => routeExpertThreshold(logits!, { ...options, mask, precision, training, state }),
    next: nextExpertThreshold,
    whenNamed: paidChoices,
  }),
  'null-experts': row({
    options: NULL_EXPERTS_OPTIONS,
    create: createNullExpertsRouter,
    reference: (options, { logits, mask, precision, training, state }) => routeNullExperts(logits!, { ...options, mask, precision, training, state }),
    next: nextNullExperts,
    gateOutputs: (options, experts) => experts + nullExpertsOf(options, experts),
    whenNamed: ({ capacityFactor }) => ({ k: 2 * paidChoices({ capacityFactor }).k, target: paidChoices({ capacityFactor }).k }),
  }),
  hash: row({
    options: HASH_OPTIONS,
    create: createHashRouter,
    reference: routeByTokenId,
    usesGate: () => false,
  }),
  base: row({
    options: BASE_OPTIONS,
    create: createBaseRouter,
    reference: (options, { logits, mask, precision, training }) => routeBase(logits!, { ...options, mask, precision, training }),
  }),
  uniform: row({
    options: UNIFORM_OPTIONS,
    create: createUniformRouter,
    reference: (options, { logits, mask, precision }) => routeUniform(logits!, { ...options, mask, precision }),
    usesGate: ({ gate = true }) => gate,
    whenNamed: paidChoices,
  }),
};

export type RouterType = keyof typeof ROUTERS;

/** A router as JSON: its type and its options. */
export type RouterConfig = { [T in RouterType]: { readonly type: T } & OptionsOf<(typeof ROUTERS)[T]['options']> }[RouterType];

/** The names, in the order of the table. */
export const ROUTER_TYPES = Object.keys(ROUTERS) as RouterType[];

/** The row of a router. @throws XMoEError `config` for an unknown name, with the nearest. */
export function routerRow(op: string, kind: string, type: unknown): RouterRow<Options> {
  if (typeof type !== 'string' || !Object.hasOwn(ROUTERS, type)) throw unknownName(op, kind, type, ROUTER_TYPES);
  return ROUTERS[type as RouterType] as RouterRow<Options>;
}
