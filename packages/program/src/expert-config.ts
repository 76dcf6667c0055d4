// The `moe` section of a configuration, which all programs share: its schema, its flags, and what it asks of a layer. What
// layers have experts is the program's to say.
import { nearestName, XMoEError } from '@xmoe/core';
import { z } from 'zod';
import type { JsonObject } from '@xmoe/files';
import type { LayerRouting } from '@xmoe/train';
import { count, expertCount, floatFromZero, layerCount, layerSize, share } from './ranges.js';

const routerSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('threshold'), threshold: share, maxExpertsPerToken: expertCount.optional() }),
  z.object({ type: z.literal('topk'), k: expertCount, noise: z.boolean().optional(), rankOnlyPriority: z.boolean().optional() }),
  z.object({ type: z.literal('switch') }),
  z.object({ type: z.literal('hash'), balanced: z.boolean().optional() }),
  z.object({ type: z.literal('base') }),
  z.object({ type: z.literal('uniform'), k: expertCount }),
]);

export const ROUTER_NAMES = ['threshold', 'topk', 'switch', 'hash', 'base', 'uniform', 'dense'] as const;

/** What a dense model has not. */
export const expertsSchema = z.object({
  /** MoE in layers every, 2·every, … (1-based). */
  every: layerCount.default(2),
  experts: expertCount,
  /** Hidden size s of one expert. */
  expertHidden: layerSize,
  router: routerSchema,
  dispatch: z.enum(['padded', 'grouped', 'budget']).default('padded'),
  /** γ of C = max(minCapacity, ⌈γ·T/N⌉) and of the budget γ·T. */
  capacityFactor: z.number().positive().max(65_536),
  minCapacity: count.default(4),
  balanceCoefficient: floatFromZero.default(0.01),
  zCoefficient: floatFromZero.default(0),
  init: z.enum(['independent', 'copy']).default('independent'),
});

/** Something in a configuration that does not go together. */
export interface ConfigProblem {
  problem: string;
  hint: string;
}

export type ExpertsConfig = z.output<typeof expertsSchema>;

/** Flags that stand for a key of the section. */
export const EXPERT_FLAG_ALIASES = {
  'capacity-factor': 'moe.capacityFactor',
  threshold: 'moe.router.threshold',
  k: 'moe.router.k',
  noise: 'moe.router.noise',
  'rank-only-priority': 'moe.router.rankOnlyPriority',
  'max-experts-per-token': 'moe.router.maxExpertsPerToken',
  balanced: 'moe.router.balanced',
  dispatch: 'moe.dispatch',
  experts: 'moe.experts',
} as const;

/** What is wrong with the section beyond its schema. */
export function expertsProblems({ router, experts }: ExpertsConfig): ConfigProblem[] {
  if ((router.type !== 'topk' && router.type !== 'uniform') || router.k <= experts) return [];
  return [{ problem: `moe.router.k ${router.k} exceeds moe.experts ${experts}`, hint: 'lower k' }];
}

/** What `createMoeFeedForward` takes from the section. `layer` tells the random maps of hash routers apart. */
export function expertSettings(moe: ExpertsConfig, { vocabularySize, layer, seed }: { vocabularySize: number; layer: number; seed: number }) {
  const { experts, expertHidden, dispatch, capacityFactor, minCapacity, balanceCoefficient, zCoefficient, init } = moe;
  const router = moe.router.type === 'hash' ? { ...moe.router, vocabularySize, layer, seed } : moe.router;
  return { experts, hidden: expertHidden, router, dispatch, capacityFactor, minCapacity, balanceCoefficient, zCoefficient, init };
}

/** Parameters of a dense feed-forward layer: two matrices and their biases. */
export function denseParameters(width: number, hidden: number): number {
  return 2 * width * hidden + hidden + width;
}

/** Parameters of a layer with experts: theirs, and the gate's unless the router has none. */
export function expertParameters({ experts, expertHidden, router }: ExpertsConfig, width: number): number {
  return experts * denseParameters(width, expertHidden) + (router.type === 'hash' ? 0 : width * experts);
}

/** Weights of one layer with experts that a token meets: γ·s hidden units, and the gate unless the router has none. */
export function activeExpertWeights({ expertHidden, capacityFactor, experts, router }: ExpertsConfig, width: number): number {
  return 2 * width * expertHidden * capacityFactor + (router.type === 'hash' ? 0 : width * experts);
}

/** The section with nothing dropped, as evaluation wants it; null stays null. */
export function droplessExperts<M extends ExpertsConfig>(moe: M | null): M | null {
  return moe && { ...moe, dispatch: 'grouped' };
}

/** A configuration with another router; `dense` takes the experts out. */
export function replaceRouter(base: JsonObject, router: string): JsonObject {
  if (!(ROUTER_NAMES as readonly string[]).includes(router)) {
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
  const settings: JsonObject = { type: router };
  if (router === 'threshold') settings.threshold = 0.9;
  // Equal FLOPs: as many choices as the capacity factor pays for (γ·s constant).
  if (router === 'topk' || router === 'uniform') settings.k = Math.max(1, Math.round(moe.capacityFactor as number));
  return { ...base, moe: { ...moe, router: settings } };
}

export interface LayerCost {
  /** γ */
  readonly capacityFactor: number;
  /** O(E), of the forward pass. */
  readonly flopsPerClaim: number;
  /** With the backward pass: as much again by row, and as much again for the weights' gradients. */
  readonly training: boolean;
}

/** The routing of one layer as metrics show it, from a summary of its trace. */
export function layerRoutingOf(summary: RoutingFigures, { capacityFactor, flopsPerClaim, training }: LayerCost): LayerRouting {
  const executedRows = training ? 2 * summary.executedRows + summary.executedGradientRows : summary.executedRows;
  return {
    tokens: summary.tokens,
    expertsPerToken: summary.expertsWantedPerToken,
    keptPerToken: summary.expertsKeptPerToken,
    dropRate: summary.dropRate,
    load: summary.loadShare,
    budgetedFlops: capacityFactor * summary.tokens * flopsPerClaim * (training ? 3 : 1),
    executedFlops: executedRows * flopsPerClaim,
  };
}

/** Of `RoutingSummary` of @xmoe/moe. */
interface RoutingFigures {
  readonly tokens: number;
  readonly expertsWantedPerToken: number;
  readonly expertsKeptPerToken: number;
  readonly dropRate: number;
  readonly loadShare: readonly number[];
  readonly executedRows: number;
  readonly executedGradientRows: number;
}
