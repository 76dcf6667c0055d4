// The hash router (Roller et al. 2021): a fixed map from token id to expert. It has no gate and no loss.
import { XMoEError, cast, gatherRows, greaterEqual, requireInteger, select, subtract, type Engine, type Tensor } from '@xmoe/core';
import { flag, integer, integers, readOptions, type FilledOptions, type OptionsOf } from './options.js';
import { MOST_EXPERTS } from './reference/checks.js';
import { createHashMap } from './reference/hash.js';
import { asColumn, defineRouter, type Router } from './router.js';

export const HASH_OPTIONS = {
  /** Seed of the random map. Default 0. */
  seed: integer(0).or(0).givenByModel(),
  /** Each MoE layer has its own map. Default 0. */
  layer: integer(0).or(0).givenByModel(),
  /** Number of token ids; not needed with `map`. */
  vocabularySize: integer(0, 2 ** 24).optional().givenByModel(),
  /** Give every expert equally many ids, instead of drawing each id alone. Default false. */
  balanced: flag(false),
  /** Token id → expert, instead of a random map. */
  map: integers(0, MOST_EXPERTS - 1).optional().withinExperts(),
};

export type HashRouterOptions = OptionsOf<typeof HASH_OPTIONS>;

/**
 * Routes by token id: one expert with weight 1. A token id outside the map is not routed, as padding. The map is kept on
 * each engine until that engine is disposed.
 * @throws XMoEError when neither `map` nor `vocabularySize` is given; when routing, for a map entry outside 0 … N − 1.
 */
export function createHashRouter(options: HashRouterOptions): Router {
  const settings = readOptions('hash router', HASH_OPTIONS, options);
  if (settings.map === undefined && settings.vocabularySize === undefined) {
    throw new XMoEError('config', 'vocabularySize is missing', { op: 'hash router', hint: 'pass vocabularySize, or a map of your own' });
  }
  const onDevice = new WeakMap<Engine, { experts: number; map: Tensor }>();

  function mapOn(engine: Engine, experts: number): Tensor {
    const known = onDevice.get(engine);
    if (known?.experts === experts) return known.map;
    known?.map.dispose();
    // One more than the expert, so that the 0 which a gather gives outside of the map becomes −1.
    const shifted = hostMap(settings, experts).map((expert) => expert + 1);
    const map = engine.tensor(shifted, [shifted.length, 1], 'int32').keep();
    onDevice.set(engine, { experts, map });
    return map;
  }

  return defineRouter({
    name: 'hash',
    usesGate: false,
    maxChoices: () => 1,
    choose(input) {
      const { engine, tokens, experts, tokenIds, mask } = input;
      if (!tokenIds) throw new XMoEError('value', 'token ids are missing', { op: 'hash router', hint: 'the hash router routes by token id: pass tokenIds int32 [T]' });
      const ids = subtract(gatherRows(mapOn(engine, experts), engine.alias(tokenIds, [tokens])), 1); // [T, 1]
      const routed = mask ? select(asColumn(mask), ids, -1) : ids;
      return {
        expertIds: routed,
        counts: engine.alias(cast(greaterEqual(routed, 0), 'int32'), [tokens]),
        full: false, // an id outside the map is −1
        weights: engine.ones([tokens, 1]),
        probabilities: null,
        balanceLoss: null,
        zLoss: null,
        priority: 'rank', // all weights are equal
      };
    },
  });
}

function hostMap({ map, vocabularySize, seed, layer, balanced }: FilledOptions<typeof HASH_OPTIONS>, experts: number): Int32Array {
  if (map === undefined) return createHashMap({ vocabulary: vocabularySize!, experts, seed, layer, balanced });
  return Int32Array.from(map, (expert, id) => requireInteger('hash router', `map[${id}]`, expert, 0, experts - 1));
}
