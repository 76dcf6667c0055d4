// The layer's configuration, parameters, half precision, determinism and memory; its numbers are in layer.test.ts.
import { afterAll, describe, expect, it, vi } from 'vitest';
import { add, cast, checkpoint, countParameters, createEngine, initializeParameters, grad, randomKey, square, sum, type Engine } from '@xmoe/core';
import { createCpuBackend } from '@xmoe/backend-cpu';
import { capacityOf, createMoeFeedForward, disposeTrace, MIN_CAPACITY, summarizeTrace, type MoeFeedForwardConfig } from '@xmoe/moe';
import type { RouterInput } from '@xmoe/routers';
import { ROUTERS } from '@xmoe/routers/by-name';
import { type LayerCase, N, T, configOf, contextOn, d, leavesOn, parametersOn, runLayer } from './layer-case.js';

const engine = createEngine(createCpuBackend());
afterAll(() => engine.dispose());

const base: LayerCase = { router: { type: 'threshold', threshold: 0.7 }, dispatch: 'padded', activation: 'gelu-tanh', masked: true };
const minimal: MoeFeedForwardConfig = { name: 'm', width: 4, hidden: 6, experts: 3, router: { type: 'switch' }, initStd: 0.02 };

describe('parameters', () => {
  it('have the names and shapes of the contract', () => {
    const { parameters } = createMoeFeedForward({ ...minimal, outputStd: 0.005 });
    expect(parameters.map(({ name, shape, init, decay }) => [name, shape, init, decay])).toEqual([
      ['m.router.weight', [4, 3], { kind: 'normal', std: 0.02 }, true],
      ['m.experts.w1', [3, 4, 6], { kind: 'normal', std: 0.02 }, true],
      ['m.experts.b1', [3, 6], { kind: 'zeros' }, false],
      ['m.experts.w2', [3, 6, 4], { kind: 'normal', std: 0.005 }, true],
      ['m.experts.b2', [3, 4], { kind: 'zeros' }, false],
    ]);
    expect(countParameters(parameters)).toBe(12 + 72 + 18 + 72 + 12);
  });

  it('leave the router weight out where there is no gate', () => {
    const names = (config: MoeFeedForwardConfig): string[] => createMoeFeedForward(config).parameters.map(({ name }) => name);
    expect(names({ ...minimal, router: { type: 'hash' }, vocabularySize: 9 })).not.toContain('m.router.weight');
    expect(names({ ...minimal, router: { type: 'uniform', k: 1, gate: false } })).not.toContain('m.router.weight');
    expect(names({ ...minimal, router: { type: 'uniform', k: 1 } })).toContain('m.router.weight');
  });

  it('init copy makes the experts equal, and then the task gradient of the router is 0 at t = 1, γ = N', async () => {
    const gradientOf = async (init: 'copy' | 'independent'): Promise<number> => {
      const exact = createEngine(createCpuBackend({ accumulate: 'float64' }));
      const layer = createMoeFeedForward({
        ...minimal, initStd: 0.5, router: { type: 'threshold', threshold: 1 }, capacityFactor: 3, balanceCoefficient: 0, init,
      });
      const parameters = initializeParameters(exact, layer.parameters, randomKey(1));
      const x = exact.tensor(leavesData(8), [2, 4], 'float32');
      const context = { ...contextOn(exact, false), tokenIds: null };
      const gradients = grad(exact, (weights) => sum(layer.apply(weights, x, context).output), parameters);
      const largest = Math.max(...Array.from(await gradients['m.router.weight'].data(), Math.abs));
      exact.dispose();
      return largest;
    };
    expect(await gradientOf('copy')).toBeLessThan(1e-14);
    expect(await gradientOf('independent')).toBeGreaterThan(1e-3);
  });
});

const leavesData = (length: number): number[] => Array.from({ length }, (_, index) => Math.sin(3 * index + 1));

describe('configuration errors', () => {
  const make = (changes: object) => () => createMoeFeedForward({ ...minimal, ...changes });
  it('name the key and what to do', () => {
    expect(make({ dispach: 'padded' })).toThrow(expect.objectContaining({ code: 'config', hint: 'did you mean "dispatch"?' }));
    expect(make({ dispatch: 'groupd' })).toThrow(expect.objectContaining({ hint: 'did you mean "grouped"?' }));
    expect(make({ activation: 'gelu' })).toThrow(/unknown activation "gelu"/);
    expect(make({ init: 'coppy' })).toThrow(expect.objectContaining({ hint: 'did you mean "copy"?' }));
    expect(make({ experts: 0 })).toThrow(/experts is 0, not an integer of at least 1/);
    expect(make({ initStd: undefined })).toThrow(/initStd is missing, not a finite number/);
    expect(make({ capacityFactor: -1 })).toThrow(/capacityFactor is -1, not above 0/);
    expect(make({ balanceCoefficient: -1 })).toThrow(/balanceCoefficient is -1, below 0/);
    expect(make({ router: { type: 'topk', k: 4 } })).toThrow(/k is 4, there are 3 experts/);
    expect(make({ router: { type: 'hash' } })).toThrow(/vocabularySize is missing/);
    expect(make({ router: undefined })).toThrow(/router type is missing/);
  });

  it('inputs and parameters of another shape are refused', () => {
    const layer = createMoeFeedForward(configOf(base));
    const leaves = leavesOn(engine);
    expect(() => layer.apply(parametersOn(leaves), engine.zeros([T, d + 1]), contextOn(engine, false))).toThrow(/x is \[13, 5\], expected \[tokens, 4\]/);
    const wrong = { ...leaves, b2: engine.zeros([N, d + 1]) };
    expect(() => layer.apply(parametersOn(wrong), leaves.x, contextOn(engine, false))).toThrow(/b2 is \[5, 5\], expected \[5, 4\]/);
    expect(() => layer.apply({}, leaves.x, contextOn(engine, false))).toThrow(/no parameter h\.1\.mlp\.experts\.w1/);
  });
});

describe('precision and determinism', () => {
  it('half precision stays near float32, and gradients come back as float32', async () => {
    for (const dispatch of ['padded', 'grouped', 'budget'] as const) {
      const layer = createMoeFeedForward(configOf({ ...base, dispatch }));
      const leaves = leavesOn(engine);
      const context = { ...contextOn(engine, true), computeDType: 'float16' as const };
      const half = engine.tensor(await leaves.x.data(), [T, d], 'float16');
      const { output } = layer.apply(parametersOn(leaves), half, context);
      const exact = await layer.apply(parametersOn(leaves), leaves.x, context).output.data();
      expect(output.dtype).toBe('float16');
      (await output.data()).forEach((value: number, index: number) => expect(Math.abs(value - exact[index])).toBeLessThan(0.02));
      const gradients = grad(engine, (inputs) => sum(cast(layer.apply(inputs, half, context).output, 'float32')), parametersOn(leaves));
      for (const gradient of Object.values(gradients)) {
        expect(gradient.dtype).toBe('float32');
        expect(Array.from(await gradient.data()).some((value) => value !== 0)).toBe(true);
      }
    }
  });

  it('is equal to the bit from run to run', async () => {
    for (const dispatch of ['padded', 'grouped', 'budget'] as const) {
      const [first, second] = [runLayer(engine, { ...base, dispatch }), runLayer(engine, { ...base, dispatch })];
      expect(await first.output.data()).toEqual(await second.output.data());
      for (const [name, gradient] of Object.entries(first.gradients)) {
        expect(await gradient.data()).toEqual(await second.gradients[name as keyof typeof second.gradients].data());
      }
    }
  });

  it('recomputing the layer in the backward pass gives the same gradients', async () => {
    for (const dispatch of ['padded', 'grouped', 'budget'] as const) {
      const layer = createMoeFeedForward(configOf({ ...base, dispatch }));
      const { x, ...rest } = leavesOn(engine);
      const context = contextOn(engine, true);
      const gradientsOf = (recompute: boolean): Promise<Float32Array>[] => {
        const gradients = grad(engine, (inputs: typeof rest & { x: typeof x }) => {
          const apply = (rows: typeof x): { output: typeof x; auxLoss: typeof x } => {
            const { output, auxLoss } = layer.apply(parametersOn(inputs), rows, context);
            return { output, auxLoss: auxLoss! };
          };
          const { output, auxLoss } = recompute ? checkpoint(engine, apply, [inputs.x]) : apply(inputs.x);
          return add(sum(square(output)), auxLoss);
        }, { x, ...rest });
        return Object.values(gradients).map(async (gradient) => Float32Array.from(await gradient.data()));
      };
      expect(await Promise.all(gradientsOf(true))).toEqual(await Promise.all(gradientsOf(false)));
    }
  });

  it('noise follows the key of the step and the name of the layer', async () => {
    const outputOf = async (key: [number, number] | null, name: string): Promise<ArrayLike<number>> => {
      const layer = createMoeFeedForward({ ...configOf({ ...base, router: { type: 'topk', k: 2, noise: true } }), name });
      const leaves = leavesOn(engine);
      const parameters = Object.fromEntries(Object.entries(parametersOn(leaves)).map(([key_, value]) => [key_.replace('h.1.mlp', name), value]));
      return layer.apply(parameters, leaves.x, contextOn(engine, false, { key: key && engine.key(key) })).output.data();
    };
    const first = await outputOf([1, 2], 'a');
    expect(await outputOf([1, 2], 'a')).toEqual(first);
    for (const other of [outputOf([1, 3], 'a'), outputOf([1, 2], 'b'), outputOf(null, 'a')]) expect(await other).not.toEqual(first);
  });

  it('F21: a batch of padding alone, and one token, work on every path', async () => {
    for (const dispatch of ['padded', 'grouped', 'budget'] as const) {
      const layer = createMoeFeedForward(configOf({ ...base, dispatch }));
      const leaves = leavesOn(engine);
      const nothing = { ...contextOn(engine, false), mask: engine.zeros([T], 'bool') };
      const { output, auxLoss, trace } = layer.apply(parametersOn(leaves), leaves.x, nothing);
      expect(Array.from(await output.data()).every((value) => value === 0)).toBe(true);
      expect(await auxLoss!.item()).toBe(0);
      expect(await summarizeTrace(trace!)).toMatchObject({ tokens: 0, wanted: 0, kept: 0, dropRate: 0, loadImbalance: 0, positiveShare: 0 });
      const one = { ...contextOn(engine, false), tokenIds: null };
      expect(layer.apply(parametersOn(leaves), engine.ones([1, d]), one).output.shape).toEqual([1, d]);
    }
  });
});

it('the router is told what one expert takes', () => {
  const inputs: RouterInput[] = [];
  const { create } = ROUTERS.switch;
  const spy = vi.spyOn(ROUTERS.switch, 'create').mockImplementation((options) => {
    const router = create(options);
    return { ...router, route: (input) => (inputs.push(input), router.route(input)) };
  });
  const parts = { router: { type: 'switch' }, capacityFactor: 2.5 } as const;
  for (const changes of [{}, { minCapacity: 1 }]) {
    const layer = createMoeFeedForward({ ...configOf(base), minCapacity: undefined, ...parts, ...changes });
    const leaves = leavesOn(engine);
    layer.apply(parametersOn(leaves), leaves.x, contextOn(engine, false));
  }
  spy.mockRestore();
  expect(inputs.map(({ capacity }) => capacity)).toEqual([MIN_CAPACITY, 1].map((minCapacity) => capacityOf({ T, N, capacityFactor: 2.5, minCapacity })));
});

describe('what is collected', () => {
  const layer = createMoeFeedForward({ ...configOf(base), trackPositive: false });
  const apply = (options: object): ReturnType<typeof layer.apply> => {
    const leaves = leavesOn(engine);
    return layer.apply(parametersOn(leaves), leaves.x, contextOn(engine, true, options));
  };

  it('follows the context', () => {
    expect(apply({ collect: 'nothing' }).trace).toBeNull();
    const statistics = apply({ collect: 'statistics' }).trace!;
    expect([statistics.perToken, statistics.positive]).toEqual([null, null]);
    const { perToken } = apply({ collect: 'tokens' }).trace!;
    expect([perToken!.expertIds.shape, perToken!.probabilities!.shape, perToken!.claimRow.shape]).toEqual([[T, N], [T, N], [T, N]]);
  });

  it('the auxiliary loss is computed in training or when collecting', () => {
    expect(apply({ training: false, collect: 'nothing' }).auxLoss).toBeNull();
    expect(apply({ training: false, collect: 'statistics' }).auxLoss).not.toBeNull();
    expect(apply({ training: true, collect: 'nothing' }).auxLoss).not.toBeNull();
  });
});

describe('memory', () => {
  it('live buffers are flat over steps, and results are all that is left', () => {
    for (const dispatch of ['padded', 'grouped', 'budget'] as const) {
      for (const router of [base.router, { type: 'hash' } as const, { type: 'base' } as const]) {
        const local = createEngine(createCpuBackend());
        const item = { ...base, dispatch, router };
        const layer = createMoeFeedForward(configOf(item));
        const leaves = leavesOn(local);
        const parameters = parametersOn(leaves);
        const context = contextOn(local, true);
        const step = (): number => {
          const x = leaves.x;
          const gradients = grad(local, (weights) => {
            const { output, trace } = layer.apply(weights, x, context);
            disposeTrace(trace!);
            return sum(output);
          }, parameters);
          for (const gradient of Object.values(gradients)) gradient.dispose();
          return local.memory().buffers;
        };
        const first = step();
        for (let again = 0; again < 10; again++) expect(step()).toBe(first);
        local.dispose();
      }
    }
  });

  it('inference frees intermediates early: the peak stays below all of them together', () => {
    const peakOf = (hidden: number): number => {
      const local: Engine = createEngine(createCpuBackend());
      const layer = createMoeFeedForward({ ...minimal, hidden, experts: 2, router: { type: 'switch' }, capacityFactor: 1, minCapacity: 64 });
      const parameters = initializeParameters(local, layer.parameters, randomKey(3));
      const x = local.ones([64, 4]);
      const before = local.memory().bytes;
      local.resetPeakMemory();
      local.scope(() => void layer.apply(parameters, x, { ...contextOn(local, false, { collect: 'nothing' }), tokenIds: null }));
      const peak = local.memory().peakBytes - before;
      local.dispose();
      return peak;
    };
    const rows = 128;
    const perHidden = (peakOf(2048) - peakOf(1024)) / 1024 / (rows * 4);
    expect(perHidden).toBeLessThan(1.5); // [R, s] after the activation; never a second
  });
});
