// One entry to all reference routers by name, for data that comes from a file, a pipe or a test table.
import { XMoEError, refuseUnknownKeys, requireInteger, unknownName } from '@xmoe/core';
import { routeBase } from './base.js';
import { MOST_EXPERTS } from './checks.js';
import { createHashMap, routeHash } from './hash.js';
import { type Logits, type Mask, readLogits } from './logits.js';
import type { Routing } from './routing.js';
import { routeThreshold } from './threshold.js';
import { routeSwitch, routeTopK } from './top-k.js';
import { routeUniform } from './uniform.js';

/** A routing problem as data. Keys that the named router does not use are ignored; unknown keys are refused. */
export interface RouteRequest {
  readonly router: 'threshold' | 'topk' | 'switch' | 'base' | 'hash' | 'uniform';
  /** [T, N]. The hash router needs it only to know N. */
  readonly logits?: Logits;
  /** threshold: t. */
  readonly threshold?: number;
  /** topk, uniform: experts per token. */
  readonly k?: number;
  /** base: balanced assignment (true) or argmax (false, the default). */
  readonly training?: boolean;
  /** hash: [T]. */
  readonly tokenIds?: readonly number[];
  /** hash: token id → expert; without it, a random map from `seed`. */
  readonly map?: readonly number[];
  /** hash: the seed of the map. Default 0. */
  readonly seed?: number;
  /** hash without logits: N. Default: the largest entry of `map` plus one. */
  readonly experts?: number;
  /** [T]: false or 0 marks padding. */
  readonly mask?: Mask;
}

/** Every key {@link route} knows. */
export const ROUTE_KEYS: readonly (keyof RouteRequest)[] = [
  'router',
  'logits',
  'threshold',
  'k',
  'training',
  'tokenIds',
  'map',
  'seed',
  'experts',
  'mask',
];

const ROUTERS: Record<RouteRequest['router'], (request: RouteRequest) => Routing> = {
  threshold: (request) => routeThreshold(request.logits!, { threshold: request.threshold!, mask: request.mask }),
  topk: (request) => routeTopK(request.logits!, { k: request.k!, mask: request.mask }),
  switch: (request) => routeSwitch(request.logits!, { mask: request.mask }),
  base: (request) => routeBase(request.logits!, { training: request.training, mask: request.mask }),
  hash: hashFromRequest,
  uniform: (request) => routeUniform(request.logits!, { k: request.k!, mask: request.mask }),
};

/**
 * Routes by the router named in the request. The request is checked as data, so parsed JSON can be passed as it is.
 * @throws XMoEError `config` for an unknown key or router, with the nearest name; `value` or `shape` for bad values.
 */
export function route(request: RouteRequest): Routing {
  refuseUnknownKeys('route', request, ROUTE_KEYS);
  if (typeof request.router !== 'string' || !Object.hasOwn(ROUTERS, request.router)) throw unknownName('route', 'router', request.router, Object.keys(ROUTERS));
  return ROUTERS[request.router](request);
}

function hashFromRequest({ logits, tokenIds, map, seed = 0, experts, mask }: RouteRequest): Routing {
  if (!Array.isArray(tokenIds)) {
    throw new XMoEError('value', 'tokenIds must be an array of integers', { op: 'route', hint: 'the hash router routes by token id' });
  }
  const shape = logits === undefined ? undefined : readLogits(logits);
  if (shape !== undefined && shape.tokens !== tokenIds.length) {
    const message = `tokenIds has ${tokenIds.length} entries, logits has ${shape.tokens} rows`;
    throw new XMoEError('shape', message, { op: 'route' });
  }
  const fromMap = Array.isArray(map) && map.length > 0 ? largest(map) + 1 : undefined;
  const N = requireInteger('route', 'experts', shape?.experts ?? experts ?? fromMap, 1, MOST_EXPERTS);
  const vocabulary = Math.max(0, largest(tokenIds.filter(Number.isInteger)) + 1);
  return routeHash(tokenIds, { experts: N, mask, map: map ?? createHashMap({ vocabulary, experts: N, seed }) });
}

function largest(values: readonly number[]): number {
  return values.reduce((most, value) => Math.max(most, value), -1);
}
