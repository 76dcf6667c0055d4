// The hash router (Roller et al., 2021): a fixed map from token id to expert. It looks at no hidden state.
import { XMoEError, describeArgument, foldIn, hostPermutation, hostUniform, randomKey, requireInteger, requireOptions } from '@xmoe/core';
import { MOST_EXPERTS, requireRoom } from './checks.js';
import type { Gate } from './gate.js';
import { type Mask, readLogits, readMask } from './logits.js';
import { type RouteGroup, type Routing, buildRouting } from './routing.js';

export interface HashMapOptions {
  /** The number of token ids. */
  readonly vocabulary: number;
  /** N. */
  readonly experts: number;
  readonly seed: number;
  /** Each MoE layer has its own map. Default 0. */
  readonly layer?: number;
  /** Give every expert ⌊V/N⌋ or ⌈V/N⌉ ids instead of drawing each id alone. Default false. */
  readonly balanced?: boolean;
}

/**
 * A seeded random map token id → expert, [vocabulary]. An unbalanced map does not depend on the vocabulary's size: a larger one
 * extends a smaller one.
 * @throws XMoEError when sizes or seed are not integers.
 */
export function createHashMap(options: HashMapOptions): Int32Array {
  requireOptions('createHashMap', options);
  const vocabulary = requireInteger('createHashMap', 'vocabulary', options.vocabulary, 0, 2 ** 24);
  const N = requireInteger('createHashMap', 'experts', options.experts, 1, MOST_EXPERTS);
  const seed = requireInteger('createHashMap', 'seed', options.seed, 0, Number.MAX_SAFE_INTEGER);
  const layer = requireInteger('createHashMap', 'layer', options.layer ?? 0, 0, Number.MAX_SAFE_INTEGER);
  const key = foldIn(foldIn(randomKey(seed), 'hash-router'), layer);
  if (!options.balanced) return Int32Array.from(hostUniform(key, vocabulary), (u) => Math.floor(u * N));
  const map = new Int32Array(vocabulary);
  hostPermutation(key, vocabulary).forEach((id, position) => (map[id] = position % N));
  return map;
}

export interface HashOptions {
  /** N. */
  readonly experts: number;
  /** Token id → expert, from {@link createHashMap} or your own. */
  readonly map: ArrayLike<number>;
  readonly mask?: Mask;
}

/**
 * Routes by token id: one expert, weight 1, no auxiliary loss. `tokenIds` [T] → {@link Routing} with K = 1.
 * @throws XMoEError for a token id outside the map or a map entry outside 0 … N − 1, naming the position.
 */
export function routeHash(tokenIds: ArrayLike<number>, options: HashOptions): Routing {
  requireArray('tokenIds', tokenIds);
  requireOptions('route', options);
  requireArray('map', options.map);
  const N = requireInteger('route', 'experts', options.experts, 1, MOST_EXPERTS);
  const T = tokenIds.length;
  const mask = readMask(options.mask, T);
  requireRoom('route', T, N);
  const probabilities = new Float64Array(T * N); // [T, N], one-hot
  const chosen = new Int32Array(T);
  for (let token = 0; token < T; token++) {
    if (mask[token] === 0) continue;
    const id = requireTokenId(tokenIds[token], token, options.map.length);
    chosen[token] = requireInteger('route', `map[${id}]`, options.map[id], 0, N - 1);
    probabilities[token * N + chosen[token]] = 1;
  }
  const gate: Gate = { tokens: T, experts: N, logits: new Float64Array(0), probabilities, mask, precision: 'float32' };
  return buildRouting(gate, {
    maxChoices: 1,
    weightSource: 'constant',
    priority: 'rank', // all weights are equal
    choose: (token) => [chosen[token]],
    weight: () => 1,
  });
}

/**
 * As {@link routeHash}, by the options of the router: N is that of the logits, of `experts`, or the largest entry of `map` plus one; without
 * a map, one is made that is large enough for the ids.
 */
export function routeByTokenId(
  { map, seed = 0, layer, balanced, vocabularySize }: { map?: readonly number[]; seed?: number; layer?: number; balanced?: boolean; vocabularySize?: number },
  { logits, tokenIds, experts, mask }: RouteGroup,
): Routing {
  if (!Array.isArray(tokenIds)) {
    throw new XMoEError('value', 'tokenIds must be an array of integers', { op: 'route', hint: 'the hash router routes by token id' });
  }
  const shape = logits === undefined ? undefined : readLogits(logits);
  if (shape !== undefined && shape.tokens !== tokenIds.length) {
    throw new XMoEError('shape', `tokenIds has ${tokenIds.length} entries, logits has ${shape.tokens} rows`, { op: 'route' });
  }
  const fromMap = Array.isArray(map) && map.length > 0 ? largest(map) + 1 : undefined;
  const N = requireInteger('route', 'experts', shape?.experts ?? experts ?? fromMap, 1, MOST_EXPERTS);
  const vocabulary = vocabularySize ?? Math.max(0, largest(tokenIds.filter(Number.isInteger)) + 1);
  return routeHash(tokenIds, { experts: N, mask, map: map ?? createHashMap({ vocabulary, experts: N, seed, layer, balanced }) });
}

function largest(values: readonly number[]): number {
  return values.reduce((most, value) => Math.max(most, value), -1);
}

function requireTokenId(id: unknown, token: number, size: number): number {
  if (typeof id === 'number' && Number.isInteger(id) && id >= 0 && id < size) return id;
  const message = `tokenIds[${token}] is ${describeArgument(id)}, outside the map of ${size} ids`;
  throw new XMoEError('value', message, { op: 'route' });
}

function requireArray(name: string, value: unknown): void {
  if (Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView))) return;
  throw new XMoEError('value', `${name} is ${describeArgument(value)}, not an array of integers`, { op: 'route' });
}
