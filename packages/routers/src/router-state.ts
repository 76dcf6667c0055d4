// What some routers keep between updates, e.g. a controlled threshold: in functions, as an optimiser's. The caller holds the tensors; no
// router here, and no names of layers.
import { XMoEError, add, cast, divide, greater, minimum, multiply, select, subtract, sum, type Engine, type Shape, type Tensor } from '@xmoe/core';
import { TREND_SHARE } from './reference/histogram.js';
import type { Router, RouterInput } from './router.js';

/** Tensors of a state, or the statistics of a routing, by name. */
export type StateTensors = Readonly<Record<string, Tensor>>;

export interface RouterState {
  /** Layers may share one: it then moves by the sums over all of them. */
  readonly shared: boolean;
  /** What it is for N experts: tensors float32, all elements equal at first. */
  tensors(experts: number): Readonly<Record<string, { readonly shape: Shape; readonly initial: number }>>;
  /**
   * The state after an update, on the device and without a gradient. `sums`: the `statistics` of all routings of the update, added up. They
   * are int32 counts without padding, so that neither the order nor the number of parts shows in them.
   */
  next(state: StateTensors, sums: StateTensors): Record<string, Tensor>;
}

/** The first state of `router` for N experts; null where it keeps none. The tensors live until disposed, or as their scope says. */
export function initialState(engine: Engine, router: Router, experts: number): Record<string, Tensor> | null {
  if (!router.state) return null;
  const tensors = Object.entries(router.state.tensors(experts));
  return Object.fromEntries(tensors.map(([name, { shape, initial }]) => [name, engine.full(shape, initial)]));
}

/** The state that a router with one is given. @throws XMoEError `value` that names what is missing */
export function stateOf(router: string, { state }: RouterInput, names: readonly string[]): StateTensors {
  const missing = names.filter((name) => !state || !Object.hasOwn(state, name));
  if (missing.length === 0) return state!;
  throw new XMoEError('value', `the state is without ${missing.join(', ')}`, { op: `${router} router`, hint: 'pass state: initialState(engine, router, experts), and what router.state.next gave after each update' });
}

/** How many tokens are not padding: int32 []. */
export function realTokens({ engine, tokens, mask }: RouterInput): Tensor {
  return mask ? sum(cast(mask, 'int32')) : engine.full([], tokens, 'int32');
}

/** How much of a moving average stays after `updates` float32 [1] of them: min(decay, (1 + n) / (10 + n)), nothing the first time. */
export function keptShare(updates: Tensor, decay: number): Tensor {
  return select(greater(updates, 0), minimum(divide(add(updates, 1), add(updates, 10)), decay), 0);
}

/** What a number that is found anew in each update will be in the next: of how it was, and how it moves. */
export interface Forecast {
  readonly value: Tensor;
  readonly trend: Tensor;
}

/**
 * The forecast after an update found `found`, all float32 [1]: Holt's moving average with a trend. An average alone follows what rises from
 * update to update at a distance. d = {@link keptShare}: value ← d·value + (1 − d)·found, and by as much of the difference trend moves as {@link TREND_SHARE} says; then value ← value + trend.
 * The first time the value is what was found.
 */
export function nextForecast({ value, trend }: Forecast, found: Tensor, updates: Tensor, decay: number): Forecast {
  const correction = multiply(subtract(found, value), subtract(1, keptShare(updates, decay)));
  const moved = add(trend, multiply(correction, select(greater(updates, 0), TREND_SHARE, 0)));
  return { value: add(add(value, correction), moved), trend: moved };
}
