// The `moe` section of a configuration, which all programs share: its schema, its flags, and what it asks of a layer. What
// layers have experts is the program's to say.
import { nearestName, XMoEError } from '@xmoe/core';
import { z } from 'zod';
import { jsonObject, type JsonObject, type JsonValue } from '@xmoe/files';
import { MIN_CAPACITY, type RoutingSummary } from '@xmoe/moe';
import { CLAIM_PRIORITIES } from '@xmoe/routers';
import { givenByModel, ROUTER_TYPES, routerRow, type ModelFacts, type Option, type RouterConfig } from '@xmoe/routers/by-name';
import type { LayerRouting } from '@xmoe/train';
import { count, expertCount, floatFromZero, layerCount, layerSize } from './ranges.js';
import { trainingShape } from './training.js';

const rowOf = (type: string) => routerRow('configuration', 'router', type);

/** An option of a router as a key: left out, it stays out, so that configurations say what their authors said. */
function optionSchema({ kind, least, most, above, presence, names }: Option): z.ZodType {
  const bounded = (schema: z.ZodNumber): z.ZodNumber => {
    const from = above ? schema.gt(least) : schema.min(least);
    return most === Infinity ? from : from.max(most);
  };
  const schemas = { real: () => bounded(z.number()), integer: () => bounded(z.int()), integers: () => z.array(bounded(z.int())), flag: () => z.boolean(), name: () => z.enum(names) };
  return presence === 'required' ? schemas[kind]() : schemas[kind]().optional();
}

const routerShapes = ROUTER_TYPES.map((type) => {
  const options = Object.entries(rowOf(type).options).map(([name, option]) => [name, optionSchema(option)]);
  return z.object({ type: z.literal(type), ...Object.fromEntries(options) as Record<string, z.ZodType> });
});

/** From the table of routers: what a row accepts, a configuration accepts. */
const routerSchema = z.discriminatedUnion('type', routerShapes as [typeof routerShapes[number]], {
  error: ({ code, input }) => {
    const type = (input as { type?: unknown } | null)?.type;
    const near = typeof type === 'string' ? nearestName(type, ROUTER_TYPES) : undefined;
    return code === 'invalid_union' ? `expected one of ${ROUTER_TYPES.join(', ')}${near ? ` (did you mean ${near}?)` : ''}` : undefined;
  },
}) as unknown as z.ZodType<RouterConfig>;

/** What --router takes. */
export const ROUTER_NAMES: readonly string[] = [...ROUTER_TYPES, 'dense'];

/** What a dense model has not. */
export const expertsSchema = z.object({
  /** MoE in layers every, 2·every, … (1-based). */
  every: layerCount.default(2),
  experts: expertCount,
  /** Hidden size s of one expert. */
  expertHidden: layerSize,
  /** Hidden size of an expert that every token takes beside those it is routed to. Left out: there is none. */
  sharedHidden: layerSize.optional(),
  router: routerSchema,
  /** Of the threshold router, one for each layer with experts; null or left out: all have that of the router. For language models. */
  thresholds: z.array(z.number().min(0).max(1)).min(1).nullable().optional(),
  dispatch: z.enum(['padded', 'grouped', 'budget']).default('padded'),
  /** γ of C = max(minCapacity, ⌈γ·T/N⌉) and of the budget γ·T. */
  capacityFactor: z.number().positive().max(65_536),
  minCapacity: count.default(MIN_CAPACITY),
  /** How claims compete where there is less room than claims. Left out: as the router says, by rank first. */
  priority: z.enum(CLAIM_PRIORITIES).optional(),
  /** Which tokens share a budget: those of the batch, or of each sequence alone. Left out: of the batch. */
  pool: z.enum(['batch', 'sequence']).optional(),
  balanceCoefficient: floatFromZero.default(0.01),
  /** Which tokens the balance loss counts first choices of: its own, or all of the update before. Left out: its own. */
  balanceOver: z.enum(['batch', 'update']).optional(),
  zCoefficient: floatFromZero.default(0),
  /** Of the loss by which a gate learns what each expert contributes to all of them. Left out: 0. */
  distillCoefficient: floatFromZero.optional(),
  init: z.enum(['independent', 'copy']).default('independent'),
  /** Count hidden units above 0 where routing is collected; the rows of routing then have `positiveShare`. */
  trackPositive: z.boolean().optional(),
});

/** Something in a configuration that does not go together. */
export interface ConfigProblem {
  problem: string;
  hint: string;
}

export type ExpertsConfig = z.output<typeof expertsSchema>;

const flagOf = (key: string): string => key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** Options of routers have flags of their names, but for what the model gives, and for names that training has. */
const routerFlags = ROUTER_TYPES.flatMap((type) =>
  Object.entries(rowOf(type).options)
    .filter(([name, { given }]) => !given && !Object.hasOwn(trainingShape, name))
    .map(([name]) => [flagOf(name), `moe.router.${name}`] as const),
);

/** Flags that stand for a key of the section. */
export const EXPERT_FLAG_ALIASES: Readonly<Record<string, string>> = {
  ...Object.fromEntries(routerFlags),
  'capacity-factor': 'moe.capacityFactor',
  'distill-coefficient': 'moe.distillCoefficient',
  dispatch: 'moe.dispatch',
  priority: 'moe.priority',
  pool: 'moe.pool',
  'balance-over': 'moe.balanceOver',
  experts: 'moe.experts',
  'shared-hidden': 'moe.sharedHidden',
  'track-positive': 'moe.trackPositive',
};

/** What is wrong with the section beyond its schema. */
export function expertsProblems({ router, experts }: ExpertsConfig): ConfigProblem[] {
  const values = jsonObject(router, 'moe.router');
  return Object.entries(rowOf(router.type).options).flatMap(([name, { ofExperts }]) => (ofExperts ? tooManyExperts(name, values[name], experts) : []));
}

/** A number of experts, or their numbers in a list. */
function tooManyExperts(name: string, value: JsonValue | undefined, experts: number): ConfigProblem[] {
  if (typeof value === 'number' && value > experts) return [{ problem: `moe.router.${name} ${value} exceeds moe.experts ${experts}`, hint: `lower ${name}` }];
  const beyond = Array.isArray(value) ? value.findIndex((expert) => (expert as number) >= experts) : -1;
  if (beyond < 0) return [];
  return [{ problem: `moe.router.${name}[${beyond}] is ${String((value as JsonValue[])[beyond])}, there are ${experts} experts`, hint: `they are numbered from 0 to ${experts - 1}` }];
}

/** What is wrong with thresholds by layer, of a model with so many layers with experts. The router has the first: another one was meant to replace them. */
export function thresholdsProblems({ router, thresholds }: ExpertsConfig, layers: number): ConfigProblem[] {
  if (!thresholds) return [];
  if (router.type !== 'threshold') return [{ problem: `moe.thresholds are of the threshold router, not of ${router.type}`, hint: 'leave them out: --set moe.thresholds=null' }];
  if (thresholds.length !== layers) return [{ problem: `moe.thresholds has ${thresholds.length} thresholds for ${layers} layers with experts`, hint: 'give one for each, or leave them out: --set moe.thresholds=null' }];
  if (thresholds[0] === router.threshold) return [];
  return [{ problem: `moe.router.threshold ${router.threshold} is not the first of moe.thresholds ${thresholds.join(', ')}`, hint: 'for one threshold leave the others out: --set moe.thresholds=null' }];
}

/** The router of a layer: the `place`th with experts, from 0. */
function routerAt({ router, thresholds }: ExpertsConfig, place: number): RouterConfig {
  const threshold = thresholds?.[place];
  return threshold === undefined || router.type !== 'threshold' ? router : { ...router, threshold };
}

/** Whether the router takes a threshold, which evaluation may set to another than training had. */
export function hasThreshold({ type }: RouterConfig): boolean {
  return Object.hasOwn(rowOf(type).options, 'threshold');
}

/** What `createMoeFeedForward` takes from the section. `place`: the layer is the one of that number among those with experts, from 0. */
export function expertSettings(moe: ExpertsConfig, facts: Required<ModelFacts>, place = 0) {
  const { experts, expertHidden, sharedHidden, dispatch, capacityFactor, minCapacity, priority, pool, balanceCoefficient, balanceOver, zCoefficient, distillCoefficient, init, trackPositive } = moe;
  const router = givenByModel(routerAt(moe, place), facts);
  return { experts, hidden: expertHidden, sharedHidden, router, dispatch, capacityFactor, minCapacity, priority, pool, balanceCoefficient, balanceOver, zCoefficient, distillCoefficient, init, trackPositive };
}

/** Of the gate, where the router has one. */
function gateWeights({ experts, router }: ExpertsConfig, width: number): number {
  const { usesGate, gateOutputs } = rowOf(router.type);
  return (usesGate?.(router) ?? true) ? width * (gateOutputs?.(router, experts) ?? experts) : 0;
}

/** Parameters of a dense feed-forward layer: two matrices and their biases. */
export function denseParameters(width: number, hidden: number): number {
  return 2 * width * hidden + hidden + width;
}

/** Parameters of a layer with experts: theirs, a shared one's, and the gate's unless the router has none. */
export function expertParameters(moe: ExpertsConfig, width: number): number {
  const { experts, expertHidden, sharedHidden } = moe;
  return experts * denseParameters(width, expertHidden) + (sharedHidden === undefined ? 0 : denseParameters(width, sharedHidden)) + gateWeights(moe, width);
}

/** Parameters of a layer whose experts are spread over ranks that a rank does not hold, at least. */
export function parametersElsewhere({ experts, expertHidden }: ExpertsConfig, width: number, expertParallel = 1): number {
  return (experts - Math.ceil(experts / expertParallel)) * denseParameters(width, expertHidden);
}

/** Weights of one layer with experts that a token meets: γ·s hidden units, those of a shared expert, and the gate unless the router has none. */
export function activeExpertWeights(moe: ExpertsConfig, width: number): number {
  return 2 * width * (moe.expertHidden * moe.capacityFactor + (moe.sharedHidden ?? 0)) + gateWeights(moe, width);
}

/** The section with nothing dropped, as evaluation wants it; null stays null. */
export function droplessExperts<M extends ExpertsConfig>(moe: M | null): M | null {
  return moe && { ...moe, dispatch: 'grouped' };
}

/** A configuration with another router; `dense` takes the experts out. */
export function replaceRouter(base: JsonObject, router: string): JsonObject {
  if (!ROUTER_NAMES.includes(router)) {
    const near = nearestName(router, ROUTER_NAMES);
    throw new XMoEError('config', `there is no router ${JSON.stringify(router)}${near ? `, did you mean ${near}?` : ''}`, { hint: `one of ${ROUTER_NAMES.join(', ')}` });
  }
  if (router === 'dense') return { ...base, moe: null };
  if (!base.moe) {
    throw new XMoEError('config', `--router ${router}: the preset is dense`, { hint: 'use a preset with experts, e.g. tiny' });
  }
  const moe = base.moe as JsonObject;
  const current = moe.router as JsonObject;
  if (current.type === router) return base;
  const filled = rowOf(router).whenNamed?.({ capacityFactor: moe.capacityFactor as number });
  return { ...base, moe: { ...moe, router: { type: router, ...(filled as JsonObject | undefined) } } };
}

export interface LayerCost {
  /** γ */
  readonly capacityFactor: number;
  /** O(E), of the forward pass. */
  readonly flopsPerClaim: number;
  /** Of the expert that all tokens share, in the forward pass; 0 without one. */
  readonly sharedFlops: number;
  /** With the backward pass: as much again by row, and as much again for the weights' gradients. */
  readonly training: boolean;
}

/** What metrics show of a summary. */
type RoutingFigures = Pick<RoutingSummary, 'tokens' | 'tokensByCount' | 'expertsPerToken' | 'keptPerToken' | 'dropRate' | 'load' | 'executedRows' | 'executedGradientRows' | 'positiveShare'>;

/** The routing of one layer as metrics show it, from a summary of its trace. */
export function layerRoutingOf(summary: RoutingFigures, { capacityFactor, flopsPerClaim, sharedFlops, training }: LayerCost): LayerRouting {
  const { tokens, tokensByCount, expertsPerToken, keptPerToken, dropRate, load, positiveShare } = summary;
  const passes = training ? 3 : 1;
  const executedRows = training ? 2 * summary.executedRows + summary.executedGradientRows : summary.executedRows;
  return {
    tokens, tokensByCount, expertsPerToken, keptPerToken, dropRate, load,
    budgetedFlops: (capacityFactor * flopsPerClaim + sharedFlops) * tokens * passes,
    executedFlops: executedRows * flopsPerClaim + sharedFlops * tokens * passes,
    ...(positiveShare === null ? {} : { positiveShare }),
  };
}
