// Routing on plain arrays by name, for data that comes from a file, a pipe or a test table.
import { refuseUnknownKeys } from '@xmoe/core';
import type { Option } from './options.js';
import type { RouteGroup, Routing } from './reference/routing.js';
import { ROUTERS, routerRow, type RouterType } from './routers.js';

type Rows = (typeof ROUTERS)[RouterType]['options'];
type NameIn<O> = O extends unknown ? keyof O : never;
type ValueIn<O, K> = O extends { readonly [N in K & string]: Option<infer V> } ? V : never;

/** A routing problem as data: a router, its options, and the group. Keys that the named router does not use are ignored; unknown keys are refused. */
export type RouteRequest = { readonly router: RouterType } & RouteGroup & { readonly [K in NameIn<Rows>]?: ValueIn<Rows, K> };

const GROUP_KEYS = ['logits', 'mask', 'precision', 'training', 'key', 'tokenIds', 'experts', 'capacity', 'state'] as const satisfies readonly (keyof RouteGroup)[];

/** Every key {@link route} knows. */
export const ROUTE_KEYS: readonly string[] = [
  ...new Set(['router', ...GROUP_KEYS, ...Object.values(ROUTERS).flatMap(({ options }) => Object.keys(options))]),
];

/**
 * Routes by the router named in the request. The request is checked as data, so parsed JSON can be passed as it is.
 * @throws XMoEError `config` for an unknown key or router, with the nearest name; `value` or `shape` for bad values.
 */
export function route(request: RouteRequest): Routing {
  refuseUnknownKeys('route', request, ROUTE_KEYS);
  const { options, reference } = routerRow('route', 'router', request.router);
  const own = Object.entries(request).filter(([key]) => Object.hasOwn(options, key));
  return reference(Object.fromEntries(own), request);
}
