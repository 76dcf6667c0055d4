// What the twins do not show: options, errors, gradients, noise, and what stays on the device.
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { createEngine, grad, mean, multiply, sum, valueAndGrad, type Tensor } from '@xmoe/core';
import { fillUniform } from '@xmoe/core/backend';
import { createCpuBackend } from '@xmoe/backend-cpu';
import {
  type Router, balanceLoss, createBaseRouter, createHashRouter, createThresholdRouter, createTopKRouter, createUniformRouter, gate, zLoss,
} from '@xmoe/routers';
import { createRouter } from '@xmoe/routers/by-name';
import * as plain from '@xmoe/routers/reference';
import { choicesOf, cpuEngine, plainChoices, routeOn } from './routing-input.js';

const engine = cpuEngine('float64');
afterAll(() => engine.dispose());

/** Distinct logits [T, N] without structure. */
function randomLogits(T: number, N: number, seed = 1): number[][] {
  const values = new Float64Array(T * N);
  fillUniform([seed, 9], 0, values);
  return Array.from({ length: T }, (_, token) => Array.from(values.subarray(token * N, token * N + N), (value) => value * 6 - 3));
}

const logits = randomLogits(12, 5);
const mask = logits.map((_, token) => token !== 3 && token !== 7);
const idsOf = async (router: Router, options: object = {}): Promise<number[][]> =>
  (await choicesOf(routeOn(engine, router, { logits, ...options }))).map((row) => row.map(([expert]) => expert));

describe('threshold', () => {
  it('selects ⌈t·N⌉ of N equally likely experts', async () => {
    for (const precision of ['float32', 'float64'] as const) {
      const local = cpuEngine(precision);
      for (const N of [1, 2, 3, 5, 7, 8, 12, 16, 25, 32, 50, 64, 100, 128]) {
        for (const [top, bottom] of [[1, 4], [1, 2], [9, 10], [99, 100]]) {
          const { counts } = routeOn(local, createThresholdRouter({ threshold: top / bottom }), { logits: [new Array<number>(N).fill(0.3)] });
          expect((await counts.data())[0], `t=${top}/${bottom} N=${N}`).toBe(Math.ceil((top * N) / bottom));
        }
      }
      local.dispose();
    }
  });

  it('bounds the experts of a token', async () => {
    const free = await idsOf(createThresholdRouter({ threshold: 0.95 }));
    const routing = routeOn(engine, createThresholdRouter({ threshold: 0.95, maxExpertsPerToken: 2 }), { logits, mask });
    expect(routing.expertIds.shape).toEqual([12, 2]);
    const bounded = (await choicesOf(routing)).map((row) => row.map(([expert]) => expert));
    expect(bounded).toEqual(free.map((row, token) => (mask[token] ? row.slice(0, 2) : [])));
    expect(free.some((row) => row.length > 2)).toBe(true);
    expect([...(await routing.counts.data())]).toEqual(bounded.map((row) => row.length));
  });

  it('t ≥ 1 takes all experts even where the sum reaches 1 early', async () => {
    const peaked = [[300, -300, 0]];
    const { counts, expertIds, full } = routeOn(engine, createThresholdRouter({ threshold: 1 }), { logits: peaked });
    expect([[...(await counts.data())], [...(await expertIds.data())], full]).toEqual([[3], [0, 2, 1], true]);
  });
});

describe('options', () => {
  it('renormalize makes the weights of every real token sum to 1 and leaves the scores', async () => {
    for (const router of [createThresholdRouter({ threshold: 0.8, renormalize: true }), createTopKRouter({ k: 2, renormalize: true })]) {
      for (const masked of [undefined, mask]) {
        const routing = routeOn(engine, router, { logits, mask: masked });
        const choices = await choicesOf(routing);
        choices.forEach((row, token) => {
          const total = row.reduce((share, [, weight]) => share + weight, 0);
          expect(total).toBeCloseTo(masked && !mask[token] ? 0 : 1, 12);
        });
        expect([...(await routing.weights.data())].every(Number.isFinite)).toBe(true);
        const first = await routing.scores.data();
        const p = plain.softmaxGate(logits, { precision: 'float64' }).probabilities;
        expect(first[0]).toBeCloseTo(p[choices[0][0][0]], 12);
      }
    }
  });

  it('noise draws ranks 2 … k as the plain twin does, in training with a key only', async () => {
    const router = createTopKRouter({ k: 3, noise: true });
    const key = engine.key([5, 6]);
    const noisy = await choicesOf(routeOn(engine, router, { logits, key, training: true }));
    const twin = plainChoices(plain.routeTopK(logits, { k: 3, noiseKey: [5, 6], precision: 'float64' }));
    expect(noisy.map((row) => row.map(([expert]) => expert))).toEqual(twin.map((row) => row.map(([expert]) => expert)));
    noisy.flat().forEach(([, weight], index) => expect(weight).toBeCloseTo(twin.flat()[index][1], 12));
    const clean = await idsOf(createTopKRouter({ k: 3 }));
    expect(noisy.map((row) => row.map(([expert]) => expert))).not.toEqual(clean);
    expect(await idsOf(router, { key, training: false })).toEqual(clean);
    expect(await idsOf(router, { key: null, training: true })).toEqual(clean);
    const always = createTopKRouter({ k: 3, noise: true, noiseInEvaluation: true });
    expect(await idsOf(always, { key, training: false })).toEqual(noisy.map((row) => row.map(([expert]) => expert)));
    expect(await idsOf(always, { key: null, training: false })).toEqual(clean);
    expect(await idsOf(router, { key, training: true, stream: 1 })).not.toEqual(noisy.map((row) => row.map(([expert]) => expert)));
  });

  it('rank-only priority is passed on', () => {
    expect(routeOn(engine, createTopKRouter({ k: 2, rankOnlyPriority: true }), { logits }).priority).toBe('rank');
    expect(routeOn(engine, createTopKRouter({ k: 2 }), { logits }).priority).toBe('rank-probability');
  });

  it('computes only the losses that are asked for', () => {
    const { balanceLoss: balance, zLoss: z } = routeOn(engine, createTopKRouter({ k: 1 }), { logits, losses: { balance: false, z: true } });
    expect([balance === null, z === null]).toEqual([true, false]);
  });

  it('uniform without a gate weighs 1/k', async () => {
    const router = createUniformRouter({ k: 2, gate: false });
    expect(router.usesGate).toBe(false);
    const choices = await choicesOf(routeOn(engine, router, { logits }));
    expect(choices.slice(0, 3)).toEqual([[[0, 0.5], [1, 0.5]], [[2, 0.5], [3, 0.5]], [[4, 0.5], [0, 0.5]]]);
  });
});

describe('hash', () => {
  it('uses a given map and leaves unknown ids unrouted', async () => {
    const router = createHashRouter({ map: [4, 0, 2] });
    const routing = routeOn(engine, router, { logits: logits.slice(0, 4), tokenIds: [2, 0, 3, -1] });
    expect([...(await routing.expertIds.data())]).toEqual([2, 4, -1, -1]);
    expect([...(await routing.counts.data())]).toEqual([1, 1, 0, 0]);
  });

  it('keeps one map per engine', () => {
    const router = createHashRouter({ vocabularySize: 9 });
    const local = cpuEngine();
    const route = (): void => local.scope(() => void routeOn(local, router, { logits, tokenIds: logits.map((_, token) => token % 9) }));
    route();
    const { buffers } = local.memory();
    route();
    expect([local.memory().buffers, buffers]).toEqual([1, 1]);
    local.dispose();
  });

  it('refuses a map to experts that do not exist, and missing ids', () => {
    expect(() => routeOn(engine, createHashRouter({ map: [5] }), { logits, tokenIds: logits.map(() => 0) })).toThrow(/map\[0\] is 5, not an integer from 0 to 4/);
    expect(() => routeOn(engine, createHashRouter({ vocabularySize: 3 }), { logits })).toThrow(/token ids are missing/);
    expect(() => createHashRouter({})).toThrow(/vocabularySize is missing/);
  });
});

describe('BASE', () => {
  it('says why it cannot train where the host cannot read, and still evaluates there', async () => {
    const backend = createCpuBackend();
    const local = createEngine({ ...backend, name: 'blind', readSync: undefined });
    expect(() => routeOn(local, createBaseRouter(), { logits, training: true })).toThrow(/base router: balanced assignment runs on the host, and blind cannot read/);
    const { expertIds } = routeOn(local, createBaseRouter(), { logits });
    expect([...(await expertIds.data())]).toEqual(logits.map((row) => row.indexOf(Math.max(...row))));
  });
});

describe('createRouter', () => {
  it('makes every type from JSON', () => {
    const configs = [
      { type: 'threshold', threshold: 0.9 }, { type: 'topk', k: 2 }, { type: 'switch' }, { type: 'hash', vocabularySize: 4 }, { type: 'base' }, { type: 'uniform', k: 1 },
    ] as const;
    for (const config of configs) expect(createRouter(JSON.parse(JSON.stringify(config))).name).toBe(config.type);
  });

  it('names what is wrong', () => {
    const make = (config: unknown) => () => createRouter(config as Parameters<typeof createRouter>[0]);
    expect(make({ type: 'treshold' })).toThrow(expect.objectContaining({ code: 'config', hint: 'did you mean "threshold"?' }));
    expect(make({ type: 'topk', k: 1, nois: true })).toThrow(expect.objectContaining({ hint: 'did you mean "noise"?' }));
    expect(make({ type: 'threshold' })).toThrow(/threshold is missing, not a finite number/);
    expect(make({ type: 'topk', k: 1.5 })).toThrow(/k is 1.5/);
    expect(make(null)).toThrow(/router type is missing/);
    expect(() => createTopKRouter({ k: 9 }).maxChoices(4)).toThrow(/k is 9, there are 4 experts/);
  });

  it('refuses inputs of another shape or dtype', () => {
    const router = createTopKRouter({ k: 1 });
    const input = { engine, tokens: 2, experts: 3 };
    expect(() => router.route({ ...input, logits: null })).toThrow(/logits are missing/);
    expect(() => router.route({ ...input, logits: engine.zeros([3, 2]) })).toThrow(/logits are \[3, 2\] for 2 tokens and 3 experts/);
    expect(() => router.route({ ...input, logits: engine.zeros([2, 3], 'float16') })).toThrow(/must be float32/);
    expect(() => router.route({ ...input, logits: engine.zeros([2, 3]), mask: engine.zeros([3], 'bool') })).toThrow(/mask is \[3\] for 2 tokens/);
    expect(() => router.route({ ...input, logits: engine.zeros([2, 3]), mask: engine.zeros([2], 'int32') })).toThrow(/mask must be bool/);
  });
});

describe('gradients', () => {
  const flat = engine.tensor(logits.flat(), [12, 5], 'float32');
  const maskTensor = engine.tensor(mask, [12], 'bool');


  /** Central differences of `loss` by every logit. */
  async function expectGradient(loss: (x: Tensor) => Tensor): Promise<void> {
    const found = await grad(engine, loss, flat).data();
    const values = logits.flat();
    const at = async (index: number, step: number): Promise<number> => {
      const moved = engine.tensor(values.map((value, i) => (i === index ? value + step : value)), [12, 5], 'float32');
      return loss(moved).item();
    };
    for (let index = 0; index < values.length; index++) {
      const expected = ((await at(index, 1e-5)) - (await at(index, -1e-5))) / 2e-5;
      expect(Math.abs(found[index] - expected), `logit ${index}`).toBeLessThan(1e-8);
    }
    expect(Math.max(...Array.from(found, Math.abs))).toBeGreaterThan(1e-4);
  }

  const route = (router: Router, x: Tensor, masked: boolean, training = false): ReturnType<Router['route']> =>
    router.route({ engine, logits: x, tokens: 12, experts: 5, mask: masked ? maskTensor : null, training });

  it.each([false, true])('balance and z-loss, masked: %s', async (masked) => {
    const router = createThresholdRouter({ threshold: 0.6 });
    await expectGradient((x) => route(router, x, masked).balanceLoss!);
    await expectGradient((x) => route(router, x, masked).zLoss!);
  });

  it.each([
    ['threshold 1', createThresholdRouter({ threshold: 1 })],
    ['top-2', createTopKRouter({ k: 2 })],
    ['top-2 renormalised', createTopKRouter({ k: 2, renormalize: true })],
    ['uniform', createUniformRouter({ k: 3 })],
    ['base', createBaseRouter()],
  ])('weights of %s', async (_name, router) => {
    const K = router.maxChoices(5);
    const upstream = engine.tensor(randomLogits(12, K, 4).flat(), [12, K], 'float32');
    await expectGradient((x) => sum(multiply(route(router, x, false).weights, upstream)));
  });

  it('the exported losses mask whatever p holds', async () => {
    const p = engine.tensor(plain.softmaxGate(logits, { precision: 'float64' }).probabilities, [12, 5], 'float32');
    const gated = plain.softmaxGate(logits, { mask, precision: 'float64' });
    expect(await balanceLoss(p, maskTensor).item()).toBeCloseTo(plain.balanceLoss(gated), 12);
    expect(await zLoss(flat, maskTensor).item()).toBeCloseTo(plain.zLoss(gated), 12);
    const dp = await grad(engine, (x) => balanceLoss(x, maskTensor), p).data();
    expect(Array.from(dp.subarray(15, 20))).toEqual([0, 0, 0, 0, 0]);
  });

  it('the gate computes in float32 from half precision', async () => {
    const h = engine.tensor([1, 2, 3, 4], [2, 2], 'float16');
    expect(gate(h, engine.ones([2, 3])).dtype).toBe('float32');
    const { gradients } = valueAndGrad(engine, ({ w }) => mean(gate(h, w)), { w: engine.ones([2, 3]) });
    expect([...(await gradients.w.data())].map((value) => Math.round(value * 1e6))).toEqual([666667, 666667, 666667, 1e6, 1e6, 1e6]);

  });
});

describe('memory', () => {
  const local = cpuEngine();
  afterEach(() => expect(local.memory().buffers).toBe(0));

  it('frees every temporary', () => {
    for (const router of [createThresholdRouter({ threshold: 0.9 }), createTopKRouter({ k: 2, noise: true }), createBaseRouter(), createUniformRouter({ k: 2 })]) {
      local.scope(() => void routeOn(local, router, { logits, mask, training: true, key: local.key([1, 2]) }));
    }
  });
});
