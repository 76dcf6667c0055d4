// Routers from plain data, so that a configuration file or a flag can name one.
import { refuseUnknownKeys } from '@xmoe/core';
import { readOptions } from './options.js';
import type { Router } from './router.js';
import { routerRow, type RouterConfig } from './routers.js';

/** What a model knows and some routers want to know. */
export interface ModelFacts {
  readonly seed?: number;
  /** Tells layers apart. */
  readonly layer?: number;
  /** Number of token ids. */
  readonly vocabularySize?: number;
}

/** `config` with those facts that its router wants and that it does not set itself. @throws XMoEError `config` for an unknown type. */
export function givenByModel(config: RouterConfig, facts: ModelFacts): RouterConfig {
  const { options } = routerRow('createRouter', 'router type', (config as Partial<RouterConfig> | null | undefined)?.type);
  const wanted = Object.entries(facts).filter(([name, value]) => value !== undefined && options[name]?.given);
  return { ...Object.fromEntries(wanted), ...config };
}

/**
 * The router that `config` describes; parsed JSON can be passed as it is.
 * @throws XMoEError `config` for an unknown type or key, with the nearest name; `value` for a bad value, a threshold outside 0 … 1 too.
 */
export function createRouter(config: RouterConfig): Router {
  const { options, create } = routerRow('createRouter', 'router type', (config as Partial<RouterConfig> | null | undefined)?.type);
  refuseUnknownKeys('createRouter', config, ['type', ...Object.keys(options)]);
  return create(readOptions('createRouter', options, config));
}
