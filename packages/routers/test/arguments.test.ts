// Arguments that types would have refused, as JavaScript and parsed JSON may hold them: only XMoEErrors come out, of tensor routers and of
// their twins on plain arrays. What good arguments give is tested elsewhere.
import { afterAll, describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { createEngine, isXMoEError, type Engine, type Tensor } from '@xmoe/core';
import { createCpuBackend } from '@xmoe/backend-cpu';
import * as tensors from '@xmoe/routers';
import { createRouter, route } from '@xmoe/routers/by-name';
import * as plain from '@xmoe/routers/reference';

/** Small buffers: a large size is an error at once, not minutes of zeros. */
const smallEngine = (): Engine => createEngine({ ...createCpuBackend(), capabilities: { float16: true, maxBufferBytes: 2 ** 16 } });
const engine = smallEngine();
const other = smallEngine();
afterAll(() => [engine, other].forEach((made) => made.dispose()));

const L = (): number[][] => [[1, 2, 3], [3, 2, 1]];
const logits = (): Tensor => engine.tensor(L().flat(), [2, 3]);
const input = (): object => ({
  engine, logits: logits(), tokens: 2, experts: 3, tokenIds: engine.tensor(Int32Array.of(0, 1)), mask: engine.tensor([true, false]), training: true,
  key: engine.key([1, 2]), stream: 1, losses: { balance: true, z: true },
});

const CALLS: Record<string, { call: (...args: never[]) => unknown; args: () => unknown[] }> = {
  routeThreshold: { call: plain.routeThreshold, args: () => [L(), { threshold: 0.5, maxExpertsPerToken: 2, renormalize: true, mask: [true, false], precision: 'float64' }] },
  routeTopK: { call: plain.routeTopK, args: () => [L(), { k: 2, mask: [1, 0], noiseKey: [1, 2], rankOnlyPriority: true, renormalize: true }] },
  routeSwitch: { call: plain.routeSwitch, args: () => [L(), { mask: [1, 0] }] },
  routeBase: { call: plain.routeBase, args: () => [L(), { training: true, epsilon: 0.1, mask: [1, 1] }] },
  routeUniform: { call: plain.routeUniform, args: () => [L(), { k: 2, gate: false }] },
  routeHash: { call: plain.routeHash, args: () => [[0, 1], { experts: 3, map: [2, 1], mask: [1, 1] }] },
  createHashMap: { call: plain.createHashMap, args: () => [{ vocabulary: 5, experts: 3, seed: 1, layer: 2, balanced: true }] },
  softmaxGate: { call: plain.softmaxGate, args: () => [{ values: [1, 2, 3, 4], tokens: 2, experts: 2 }, { mask: [1, 0], precision: 'float32' }] },
  auctionAssign: { call: plain.auctionAssign, args: () => [[1, 2, 3, 4], 2, 2, { mask: [1, 1], epsilon: 0.1 }] },
  optimalAssign: { call: plain.optimalAssign, args: () => [[1, 2, 3, 4], 2, 2, { mask: [1, 1] }] },
  'route threshold': { call: route, args: () => [{ router: 'threshold', logits: L(), threshold: 0.5, mask: [1, 0] }] },
  'route topk': { call: route, args: () => [{ router: 'topk', logits: L(), k: 2, noise: true, training: true, key: [1, 2] }] },
  'route base': { call: route, args: () => [{ router: 'base', logits: L(), training: true }] },
  'route hash': { call: route, args: () => [{ router: 'hash', tokenIds: [0, 1], seed: 1, experts: 3 }] },
  'createRouter threshold': { call: createRouter, args: () => [{ type: 'threshold', threshold: 0.5, maxExpertsPerToken: 2, renormalize: true }] },
  'createRouter topk': { call: createRouter, args: () => [{ type: 'topk', k: 2, noise: true }] },
  'createRouter hash': { call: createRouter, args: () => [{ type: 'hash', seed: 1, layer: 1, vocabularySize: 5 }] },
  'createRouter base': { call: createRouter, args: () => [{ type: 'base', epsilon: 0.1 }] },
  createThresholdRouter: { call: tensors.createThresholdRouter, args: () => [{ threshold: 0.5 }] },
  createTopKRouter: { call: tensors.createTopKRouter, args: () => [{ k: 2 }] },
  createSwitchRouter: { call: tensors.createSwitchRouter, args: () => [{}] },
  createHashRouter: { call: tensors.createHashRouter, args: () => [{ vocabularySize: 5 }] },
  createBaseRouter: { call: tensors.createBaseRouter, args: () => [{ epsilon: 0.1 }] },
  createUniformRouter: { call: tensors.createUniformRouter, args: () => [{ k: 2, gate: true }] },
  gate: { call: tensors.gate, args: () => [engine.ones([2, 4]), engine.ones([4, 3]), engine.tensor([true, false])] },
  gateProbabilities: { call: tensors.gateProbabilities, args: () => [logits(), engine.tensor([true, false])] },
  balanceLoss: { call: tensors.balanceLoss, args: () => [logits(), engine.tensor([true, false])] },
  zLoss: { call: tensors.zLoss, args: () => [logits(), engine.tensor([true, false])] },
  ...Object.fromEntries(
    Object.entries({
      threshold: tensors.createThresholdRouter({ threshold: 0.5 }), topk: tensors.createTopKRouter({ k: 2, noise: true }), base: tensors.createBaseRouter(),
      hash: tensors.createHashRouter({ vocabularySize: 5 }), uniform: tensors.createUniformRouter({ k: 2 }),
    }).map(([name, router]) => [`${name} router.route`, { call: router.route as (...args: never[]) => unknown, args: () => [input()] }]),
  ),
};

const ODD = [
  undefined, null, NaN, -1, 0, 0.5, 2, 7, 1e15, Infinity, 'a', '', true, [], {}, [[1, 2], [3, 4]], [1], [[]], [['a']], ['a', 'b'], [undefined], new Float32Array(3), new DataView(new ArrayBuffer(8)),
  () => 1, { values: [1], tokens: 0, experts: 1e15 }, { values: null, tokens: 2, experts: 2 },
];
const junk = (): fc.Arbitrary<() => unknown> => fc.oneof(
  fc.constantFrom(...ODD.map((value) => () => value)),
  fc.constantFrom(() => logits(), () => engine.ones([3]), () => engine.ones([2, 3], 'int32'), () => other.ones([2, 3]), () => other.tensor([true, false]), () => engine.tensor([true])),
  fc.anything({ withBigInt: false }).map((value) => () => value),
);

describe('arguments that types would refuse', () => {
  it.each(Object.keys(CALLS))('%s', (name) => {
    const { call, args } = CALLS[name];
    engine.scope(() => void call(...(args() as never[]))); // the call is good
    const property = fc.property(fc.nat(4), fc.option(fc.nat(11)), junk(), (position, field, make) => {
      engine.scope(() => {
        const given = args();
        const at = position % given.length;
        const own = given[at] as Record<string, unknown>;
        const keys = Object.prototype.toString.call(own) === '[object Object]' ? Object.keys(own) : [];
        given[at] = field === null || keys.length === 0 ? make() : { ...own, [keys[field % keys.length]]: make() };
        try {
          call(...(given as never[]));
        } catch (error) {
          expect(isXMoEError(error), (error as Error).stack).toBe(true);
        }
      });
    });
    fc.assert(property, { numRuns: 400, seed: Number(process.env.XMOE_FUZZ_SEED ?? 1) });
    expect(() => call()).not.toThrow(TypeError);
  });

  it.each([
    ['createRouter', () => createRouter({ type: 'threshold', threshold: 2 }), /threshold is 2, outside 0 … 1/],
    ['createRouter', () => createRouter({ type: 'threshold', threshold: -0.1 }), /threshold is -0.1, outside 0 … 1/],
    ['createRouter', () => createRouter({ type: 'threshold' } as never), /threshold is missing/],
    ['createThresholdRouter', () => tensors.createThresholdRouter(undefined as never), /options are missing/],
    ['routeThreshold', () => plain.routeThreshold(L(), undefined as never), /options are missing/],
    ['routeThreshold', () => plain.routeThreshold(L(), { threshold: NaN }), /threshold is NaN/],
    ['route', () => route({ router: 'hash', tokenIds: [0, 1], experts: 1e15 }), /experts is 1000000000000000, not an integer from 1 to/],
    ['route', () => route({ router: 'hash', tokenIds: new Array<number>(1000).fill(1), experts: 2 ** 23 }), /1000 tokens by 8388608 experts/],
  ])('%s says what is wrong', (_, call, message) => {
    expect(call).toThrow(message);
  });

  it('0 and 1 are thresholds of a configuration', () => {
    for (const threshold of [0, 1]) expect(createRouter({ type: 'threshold', threshold }).name).toBe('threshold');
  });
});
