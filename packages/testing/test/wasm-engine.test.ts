// The compiled engine where it matters: golden data, gradients of every op and of the layer, and training, with each variant
// and on 1, 2 and 4 threads, in pieces so small that all threads take part. Single kernels are tested in backend-cpu.
import { afterAll, describe, expect, it, vi } from 'vitest';
import { createCpuBackend, createWasmBackend, type WasmBackendOptions } from '@xmoe/backend-cpu';
import { createEngine, foldIn, hostNormal, initializeParameters, multiply, randomKey, sum, valueAndGrad, type Engine, type ForwardContext, type Parameters, type Tensor } from '@xmoe/core';
import { createMoeFeedForward, type DispatchPath } from '@xmoe/moe';
import type { RouterConfig } from '@xmoe/routers';
import { describeGolden } from './golden-suite.js';
import type { CaseTable } from './gradient-cases/case.js';
import { ELEMENTWISE } from './gradient-cases/elementwise.js';
import { MOVEMENT } from './gradient-cases/movement.js';
import { NETWORK } from './gradient-cases/network.js';
import { expectNear, train, type Experts } from './tiny-training.js';

vi.mock('../../backend-cpu/src/engine/team.js', async (original) => (await import('./small-pieces.js')).withSmallPieces(original));

const VARIANTS = ['relaxed', 'simd'] as const;
const nameOf = ({ variant, threads }: WasmBackendOptions): string => `cpu:wasm ${variant} on ${threads} thread${threads === 1 ? '' : 's'}`;

for (const options of [{ variant: 'relaxed', threads: 2 }, { variant: 'simd', threads: 4 }] as const) {
  describeGolden(nameOf(options), () => createWasmBackend(options));
}

const plain = createEngine(createCpuBackend());
const engines = await Promise.all(VARIANTS.map(async (variant) => {
  const options = { variant, threads: 2 };
  return [nameOf(options), createEngine(await createWasmBackend(options))] as const;
}));
afterAll(() => [plain, ...engines.map(([, engine]) => engine)].forEach((engine) => engine.dispose()));

/** The loss and all gradients of `loss` at the inputs, in one list. */
function derivativesOf(engine: Engine, inputs: Record<string, { data: ArrayLike<number>; shape: readonly number[] }>, loss: (tensors: Parameters, engine: Engine) => Tensor): number[][] {
  return engine.scope(() => {
    const tensors = Object.fromEntries(Object.entries(inputs).map(([name, { data, shape }]) => [name, engine.tensor(Array.from(data), shape, 'float32')]));
    const result = valueAndGrad(engine, (given: Record<string, Tensor>) => loss(given, engine), tensors);
    return [result.loss, ...Object.values(result.gradients)].map((tensor) => Array.from(tensor.dataSync()));
  });
}

/** Every number within 1e-4 of the plain one, relative to the largest of its tensor. */
function expectSame(found: readonly number[][], wanted: readonly number[][], label: string): void {
  wanted.forEach((numbers, index) => {
    const scale = Math.max(1, ...numbers.map(Math.abs));
    const worst = Math.max(0, ...numbers.map((number, i) => Math.abs(found[index]![i]! - number)));
    expect(worst / scale, `${label}, tensor ${index}`).toBeLessThan(1e-4);
  });
}

describe.each(engines)('gradients on %s are those of plain cpu', (_name, engine) => {
  const table: CaseTable = { ...ELEMENTWISE, ...MOVEMENT, ...NETWORK };

  it.each(Object.keys(table).filter((name) => table[name] !== 'no gradient'))('%s', (name) => {
    for (const { label, fn, inputs } of table[name] as Exclude<CaseTable[string], 'no gradient'>) {
      const given = Object.fromEntries(inputs.map((input, index) => [String(index), input]));
      // A weight for each output, so that no gradient is a sum of all.
      const loss = (tensors: Parameters, on: Engine): Tensor => {
        const out = fn(Object.values(tensors) as Tensor[], on);
        return sum(multiply(out, on.tensor(hostNormal(randomKey(9), out.size), out.shape)));
      };
      expectSame(derivativesOf(engine, given, loss), derivativesOf(plain, given, loss), label);
    }
  });

  it.each(['padded', 'grouped', 'budget'] as const)('the layer, %s', (dispatch: DispatchPath) => {
    const [tokens, width, hidden, experts] = [131, 36, 20, 9];
    const layer = createMoeFeedForward({ name: 'm', width, hidden, experts, router: { type: 'threshold', threshold: 0.7 }, capacityFactor: 1.5, dispatch, initStd: 0.3 });
    const initial = plain.scope(() => Object.entries(initializeParameters(plain, layer.parameters, randomKey(3))).map(([name, tensor]) =>
      [name, { data: tensor!.dataSync(), shape: tensor!.shape }] as const));
    const given = { ...Object.fromEntries(initial), x: { data: hostNormal(foldIn(randomKey(4), 'x'), tokens * width), shape: [tokens, width] } };
    const context: ForwardContext = { training: true, key: null, computeDType: 'float32', tokenIds: null, mask: null, collect: 'nothing' };
    const loss = (tensors: Parameters, on: Engine): Tensor => {
      const { output } = layer.apply(tensors, tensors.x!, context);
      return sum(multiply(output, on.tensor(hostNormal(randomKey(5), output.size), output.shape)));
    };
    expectSame(derivativesOf(engine, given, loss), derivativesOf(plain, given, loss), dispatch);
  });
});

describe('the first 20 losses', () => {
  const router: RouterConfig = { type: 'threshold', threshold: 0.8 };
  const lossesOf = async (experts: Experts, options?: WasmBackendOptions): Promise<number[][]> =>
    train(options ? await createWasmBackend(options) : createCpuBackend(), 20, experts);

  it.each(VARIANTS.flatMap((variant) => (['padded', 'grouped'] as const).map((dispatch) => ({ variant, dispatch }))))(
    '$variant, $dispatch: near those of plain cpu, and the same to the bit on 1, 2 and 4 threads', async ({ variant, dispatch }) => {
      const one = await lossesOf({ router, dispatch }, { variant, threads: 1 });
      expectNear(one, await lossesOf({ router, dispatch }));
      for (const threads of [2, 4]) expect(await lossesOf({ router, dispatch }, { variant, threads })).toEqual(one);
    });
});
