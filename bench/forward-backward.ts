// One forward and backward pass as a unit of work that ends when the device is done.
import {
  add, cast, collectTensors, createReplay, hostNormal, multiply, randomKey, sizeOf, slice, sum, valueAndGrad,
  type Engine, type FloatDType, type ForwardContext, type ParameterSpec, type Shape, type Tensor,
} from '@xmoe/core';
import type { Contestant } from './measure.js';

/** A backend under measurement. */
export interface Device {
  readonly name: string;
  readonly engine: Engine;
}

/** Training, without noise, and nothing collected. */
export const TRAINING: ForwardContext = { training: true, key: null, computeDType: 'float32', tokenIds: null, mask: null, collect: 'nothing' };

/** A kept tensor of standard normal numbers; the same for the same seed on every backend, rounded to the dtype. */
export function normalTensor(engine: Engine, shape: Shape, seed: number, dtype: FloatDType = 'float32'): Tensor {
  return inDType(engine.tensor(hostNormal(randomKey(seed), sizeOf(shape)), shape), dtype);
}

/** `made` in the dtype, kept; `made` itself is the caller's no longer. */
export function inDType(made: Tensor, dtype: FloatDType): Tensor {
  const converted = cast(made, dtype).keep();
  if (converted !== made) made.dispose();
  return converted;
}

/** The loss of every measured layer: Σ output·dy, so that dy is the gradient that arrives, plus the auxiliary loss. */
export function scalarLoss(output: Tensor, dy: Tensor, auxLoss: Tensor | null): Tensor {
  const loss = sum(multiply(cast(output, 'float32'), cast(dy, 'float32')));
  return auxLoss ? add(loss, auxLoss) : loss;
}

/** Computes the loss and the gradients of all `parameters`, and waits until the device has them. */
export async function forwardAndBackward(engine: Engine, loss: (parameters: Record<string, Tensor>) => Tensor, parameters: Record<string, Tensor>): Promise<void> {
  const { loss: value, gradients } = valueAndGrad(engine, loss, parameters);
  await finish([value, ...Object.values(gradients)]);
}

/** A loss and what it is differentiated by. */
export interface Work {
  loss(parameters: Record<string, Tensor>): Tensor;
  readonly parameters: Record<string, Tensor>;
}

export interface Pass {
  readonly contestant: Contestant;
  dispose(): void;
}

/** Forward and backward, waited for after each pass. */
export const eagerPass = (name: string, engine: Engine, { loss, parameters }: Work): Pass =>
  ({ contestant: { name, run: () => forwardAndBackward(engine, loss, parameters) }, dispose: () => undefined });

/**
 * Work on a device that runs behind the host, as training uses it: replayed where the backend records, and waited for once per
 * sample. `make` returns its results, which are disposed here.
 */
export function queued(name: string, engine: Engine, make: () => readonly Tensor[]): Pass {
  const replay = createReplay(engine);
  async function time(loops: number): Promise<number> {
    const start = performance.now();
    let last: readonly Tensor[] = [];
    for (let loop = 0; loop < loops; loop++) {
      disposeAll(last);
      last = replay.run(name, (segment) => segment(make));
    }
    await finish(last);
    const elapsed = performance.now() - start;
    if (replay.status(name) === 'seen') await engine.backend.tune?.({ milliseconds: 10_000 });
    return elapsed;
  }
  return { contestant: { name, time, run: async () => void (await time(1)) }, dispose: () => replay.dispose() };
}

/** Forward and backward as {@link queued} work. */
export const queuedPass = (name: string, engine: Engine, { loss, parameters }: Work): Pass =>
  queued(name, engine, () => {
    const { loss: value, gradients } = valueAndGrad(engine, loss, parameters);
    return [value, ...Object.values(gradients)];
  });

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
