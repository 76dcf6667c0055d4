// Routers by name: the entry @xmoe/routers/by-name. It holds all of them in both forms; who wants one imports it from the other entries.
export { createRouter, givenByModel, type ModelFacts } from './create-router.js';
export type { FilledOptions, Option, Options, OptionsOf, Presence } from './options.js';
export { route, ROUTE_KEYS, type RouteRequest } from './route.js';
export { ROUTER_TYPES, routerRow, ROUTERS, type RouterConfig, type RouterRow, type RouterType } from './routers.js';
