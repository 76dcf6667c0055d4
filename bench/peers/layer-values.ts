// What our MoE layer computes from the numbers of formula.ts, to be compared with a peer's. No clock.
import { sizeOf, valueAndGrad, type Tensor } from '@xmoe/core';
import { disposeAll, scalarLoss, TRAINING } from '../forward-backward.js';
import type { Layer, Setting } from '../moe-contestants.js';
import { formulaValues } from './formula.js';

/** The loss, then Σ g·(a fixed sequence) of the gradient g of the input and of every weight, in their order. */
export async function layerValues({ engine, shape }: Setting, { layer }: Layer): Promise<number[]> {
  const made = (size: readonly number[], seed: number, scale: number): Tensor => engine.tensor(formulaValues(sizeOf(size), seed, scale), size).keep();
  const rows = [shape.tokens, shape.width];
  const [x, dy] = [made(rows, 1, 2), made(rows, 2, 2)];
  // Scales as in moe_torch.py.
  const weights = layer.parameters.map(({ name, shape: size }, index) => [name, made(size, 3 + index, size.length > 1 ? 2 * size.at(-2)! ** -0.5 : 0.1)] as const);
  const parameters: Record<string, Tensor> = { x, ...Object.fromEntries(weights) };
  const { loss, gradients } = valueAndGrad(engine, ({ x: input, ...others }: Record<string, Tensor>) => {
    const { output, auxLoss } = layer.apply(others, input, TRAINING);
    return scalarLoss(output, dy, auxLoss);
  }, parameters);
  const values = [(await loss.data())[0]];
  for (const name of Object.keys(parameters)) {
    const gradient = await gradients[name].data();
    const sequence = formulaValues(gradient.length, 9, 1);
    let total = 0;
    gradient.forEach((value, index) => {
      total += value * sequence[index];
    });
    values.push(total);
  }
  disposeAll([dy, parameters, loss, gradients]);
  return values;
}
