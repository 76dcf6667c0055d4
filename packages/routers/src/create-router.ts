// Routers from plain data, so that a configuration file or a flag can name one. Only names and keys are checked here.
import { refuseUnknownKeys, unknownName } from '@xmoe/core';
import { createBaseRouter, type BaseRouterOptions } from './base.js';
import { createHashRouter, type HashRouterOptions } from './hash.js';
import { requireConfiguredThreshold } from './reference/checks.js';
import type { Router } from './router.js';
import { createThresholdRouter, type ThresholdRouterOptions } from './threshold.js';
import { createSwitchRouter, createTopKRouter, type TopKRouterOptions } from './top-k.js';
import { createUniformRouter, type UniformRouterOptions } from './uniform.js';

/** A router as JSON. */
export type RouterConfig =
  | ({ readonly type: 'threshold' } & ThresholdRouterOptions)
  | ({ readonly type: 'topk' } & TopKRouterOptions)
  | ({ readonly type: 'switch' } & Omit<TopKRouterOptions, 'k' | 'noise'>)
  | ({ readonly type: 'hash' } & HashRouterOptions)
  | ({ readonly type: 'base' } & BaseRouterOptions)
  | ({ readonly type: 'uniform' } & UniformRouterOptions);

export type RouterType = RouterConfig['type'];

/** The keys of each router's configuration beside `type`. */
export const ROUTER_CONFIG_KEYS = {
  threshold: ['threshold', 'maxExpertsPerToken', 'renormalize'],
  topk: ['k', 'noise', 'rankOnlyPriority', 'renormalize'],
  switch: ['rankOnlyPriority', 'renormalize'],
  hash: ['seed', 'layer', 'vocabularySize', 'balanced', 'map'],
  base: ['epsilon'],
  uniform: ['k', 'gate'],
} as const satisfies Record<RouterType, readonly string[]>;

/**
 * The router that `config` describes; parsed JSON can be passed as it is.
 * @throws XMoEError `config` for an unknown type or key, with the nearest name; `value` for a bad value, a threshold outside 0 … 1 too.
 */
export function createRouter(config: RouterConfig): Router {
  const types = Object.keys(ROUTER_CONFIG_KEYS) as RouterType[];
  const type: unknown = (config as { type?: unknown } | null | undefined)?.type;
  if (!types.includes(type as RouterType)) throw unknownName('createRouter', 'router type', type, types);
  refuseUnknownKeys('createRouter', config, ['type', ...ROUTER_CONFIG_KEYS[config.type]]);
  switch (config.type) {
    case 'threshold':
      requireConfiguredThreshold('createRouter', config.threshold);
      return createThresholdRouter(config);
    case 'topk':
      return createTopKRouter(config);
    case 'switch':
      return createSwitchRouter(config);
    case 'hash':
      return createHashRouter(config);
    case 'base':
      return createBaseRouter(config);
    case 'uniform':
      return createUniformRouter(config);
  }
}
