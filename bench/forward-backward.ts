// One forward and backward pass as a unit of work that ends when the device is done. No clock here.
import {
  add, collectTensors, hostNormal, multiply, randomKey, slice, sum, valueAndGrad,
  type Engine, type ForwardContext, type ParameterSpec, type Shape, type Tensor,
} from '@xmoe/core';

/** A backend under measurement. */
export interface Device {
  readonly name: string;
  readonly engine: Engine;
}

/** Training, without noise, and nothing collected. */
export const TRAINING: ForwardContext = { training: true, key: null, computeDType: 'float32', tokenIds: null, mask: null, collect: 'nothing' };

/** A kept tensor of standard normal numbers; the same for the same seed on every backend. */
export function normalTensor(engine: Engine, shape: Shape, seed: number): Tensor {
  const size = shape.reduce((product, extent) => product * extent, 1);
  return engine.tensor(hostNormal(randomKey(seed), size), shape).keep();
}

/** The loss of every measured layer: Σ output·dy, so that dy is the gradient that arrives, plus the auxiliary loss. */
export function scalarLoss(output: Tensor, dy: Tensor, auxLoss: Tensor | null): Tensor {
  const loss = sum(multiply(output, dy));
  return auxLoss ? add(loss, auxLoss) : loss;
}

/** Computes the loss and the gradients of all `parameters`, and waits until the device has them. */
export async function forwardAndBackward(engine: Engine, loss: (parameters: Record<string, Tensor>) => Tensor, parameters: Record<string, Tensor>): Promise<void> {
  const { loss: value, gradients } = valueAndGrad(engine, loss, parameters);
  await finish([value, ...Object.values(gradients)]);
}

/** Waits for tensors by reading one element of each, which is cheap where reading is a copy, and frees them. */
export async function finish(tensors: readonly Tensor[]): Promise<void> {
  const elements = tensors.map((tensor) => {
    const flat = tensor.engine.alias(tensor, [tensor.size]);
    return [flat, slice(flat, [0], [1])];
  });
  await Promise.all(elements.map(([, element]) => element.data()));
  disposeAll([tensors, elements]);
}

/** The specs with a gate whose logits have the standard deviation `std` for inputs of unit variance. */
export function withGateStd(specs: readonly ParameterSpec[], std: number): ParameterSpec[] {
  return specs.map((spec) =>
    spec.name.endsWith('.router.weight') ? { ...spec, init: { kind: 'normal', std: std / Math.sqrt(spec.shape[0]) } } : spec,
  );
}

export function disposeAll(tree: unknown): void {
  for (const tensor of collectTensors(tree)) tensor.dispose();
}
