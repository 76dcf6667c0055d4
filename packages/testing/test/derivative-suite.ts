// Losses and gradients of every op, and of the layer on every dispatch path, on an engine, beside plain cpu in float32: the tests
// of compiled and of GPU backends. Gradients themselves are checked in float64, in gradients.test.ts.
import { afterAll, describe, expect, it } from 'vitest';
import { createCpuBackend } from '@xmoe/backend-cpu';
import { createEngine, foldIn, hostNormal, initializeParameters, multiply, randomKey, sum, valueAndGrad, type Backend, type Engine, type ForwardContext, type Parameters, type Tensor } from '@xmoe/core';
import { createMoeFeedForward, type DispatchPath } from '@xmoe/moe';
import type { CaseTable } from './gradient-cases/case.js';
import { ELEMENTWISE } from './gradient-cases/elementwise.js';
import { MOVEMENT } from './gradient-cases/movement.js';
import { NETWORK } from './gradient-cases/network.js';

type Inputs = Record<string, { data: ArrayLike<number>; shape: readonly number[] }>;
type Loss = (tensors: Parameters, engine: Engine) => Tensor;

/** The loss and all gradients of `loss` at the inputs, in one list. */
async function derivativesOf(engine: Engine, inputs: Inputs, loss: Loss): Promise<number[][]> {
  const results = engine.scope(() => {
    const tensors = Object.fromEntries(Object.entries(inputs).map(([name, { data, shape }]) => [name, engine.tensor(Array.from(data), shape, 'float32')]));
    const result = valueAndGrad(engine, (given: Record<string, Tensor>) => loss(given, engine), tensors);
    return [result.loss, ...Object.values(result.gradients)];
  });
  const numbers = await Promise.all(results.map(async (tensor) => Array.from(await tensor.data())));
  for (const tensor of results) tensor.dispose();
  return numbers;
}

/** Every number within 1e-4 of the plain one, relative to the largest of its tensor. */
function expectSame(found: readonly number[][], wanted: readonly number[][], label: string): void {
  wanted.forEach((numbers, index) => {
    const scale = Math.max(1, ...numbers.map(Math.abs));
    const worst = Math.max(0, ...numbers.map((number, i) => Math.abs(found[index]![i]! - number)));
    expect(worst / scale, `${label}, tensor ${index}`).toBeLessThan(1e-4);
  });
}

export function describeDerivatives(name: string, createBackend: () => Backend | Promise<Backend>): void {
  describe(`gradients on ${name} are those of plain cpu`, async () => {
    const plain = createEngine(createCpuBackend());
    const engine = createEngine(await createBackend());
    afterAll(() => [plain, engine].forEach((made) => made.dispose()));
    const table: CaseTable = { ...ELEMENTWISE, ...MOVEMENT, ...NETWORK };

    it.each(Object.keys(table).filter((op) => table[op] !== 'no gradient'))('%s', async (op) => {
      for (const { label, fn, inputs } of table[op] as Exclude<CaseTable[string], 'no gradient'>) {
        const given = Object.fromEntries(inputs.map((input, index) => [String(index), input]));
        // A weight for each output, so that no gradient is a sum of all.
        const loss: Loss = (tensors, on) => {
          const out = fn(Object.values(tensors) as Tensor[], on);
          return sum(multiply(out, on.tensor(hostNormal(randomKey(9), out.size), out.shape)));
        };
        expectSame(await derivativesOf(engine, given, loss), await derivativesOf(plain, given, loss), label);
      }
    });

    it.each(['padded', 'grouped', 'budget'] as const)('the layer, %s', async (dispatch: DispatchPath) => {
      const [tokens, width, hidden, experts] = [131, 36, 20, 9];
      const layer = createMoeFeedForward({ name: 'm', width, hidden, experts, router: { type: 'threshold', threshold: 0.7 }, capacityFactor: 1.5, dispatch, initStd: 0.3 });
      const initial = plain.scope(() => Object.entries(initializeParameters(plain, layer.parameters, randomKey(3))).map(([parameter, tensor]) =>
        [parameter, { data: tensor!.dataSync(), shape: tensor!.shape }] as const));
      const given: Inputs = { ...Object.fromEntries(initial), x: { data: hostNormal(foldIn(randomKey(4), 'x'), tokens * width), shape: [tokens, width] } };
      const context: ForwardContext = { training: true, key: null, computeDType: 'float32', tokenIds: null, mask: null, collect: 'nothing' };
      const loss: Loss = (tensors, on) => {
        const { output } = layer.apply(tensors, tensors.x!, context);
        return sum(multiply(output, on.tensor(hostNormal(randomKey(5), output.size), output.shape)));
      };
      expectSame(await derivativesOf(engine, given, loss), await derivativesOf(plain, given, loss), dispatch);
    });
  });
}
