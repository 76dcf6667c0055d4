// What our MoE layer computes from the numbers of formula.ts, to be compared with a peer's. No clock.
import { sizeOf, valueAndGrad, type FloatDType, type Tensor } from '@xmoe/core';
import { disposeAll, inDType, scalarLoss, TRAINING } from '../forward-backward.js';
import { parameterDType, type Layer, type Setting } from '../moe-contestants.js';
import { formulaValues } from './formula.js';

/** The loss, then Σ g·(a fixed sequence) of the gradient g of the input and of every weight, in their order. */
export async function layerValues({ engine, shape }: Pick<Setting, 'engine' | 'shape'>, { layer }: Pick<Layer, 'layer'>, dtype: FloatDType = 'float32'): Promise<number[]> {
  const made = (size: readonly number[], seed: number, scale: number, as = dtype): Tensor =>
    inDType(engine.tensor(formulaValues(sizeOf(size), seed, scale), size), as);
  const rows = [shape.tokens, shape.width];
  const [x, dy] = [made(rows, 1, 2), made(rows, 2, 2)];
  const context = { ...TRAINING, computeDType: dtype };
  // Scales as in moe_torch.py.
  const weights = layer.parameters.map(({ name, shape: size }, index) => [name, made(size, 3 + index, size.length > 1 ? 2 * size.at(-2)! ** -0.5 : 0.1, parameterDType(name, dtype))] as const);
  const parameters: Record<string, Tensor> = { x, ...Object.fromEntries(weights) };
  const { loss, gradients } = valueAndGrad(engine, ({ x: input, ...others }: Record<string, Tensor>) => {
    const { output, auxLoss } = layer.apply(others, input!, context);
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
