// How models put their loss together: per-token losses over a normaliser, plus the auxiliary losses of the layers.
import { add, cast, divide, greaterEqual, maximum, multiply, sum, type Parameters, type Tensor } from '@xmoe/core';
import type { LayerTrace } from './stack.js';

export interface LossOptions {
  /** float32 []: what the summed loss is divided by; the number of targets of this batch by default. For gradient
   *  accumulation pass the number of targets of the whole update. */
  readonly normalizer?: Tensor;
  /** Factor of the auxiliary loss: 1 / micro-batches of the update. */
  readonly auxScale?: number;
}

export interface ModelLoss<Trace> {
  /** Cross-entropy + auxiliary loss: float32 []. */
  loss: Tensor;
  /** Mean nats per target: float32 []. */
  crossEntropy: Tensor;
  /** Σ of the layers' scaled auxiliary losses: float32 [] or null. */
  auxLoss: Tensor | null;
  traces: LayerTrace<Trace>[];
  /** What the model's states move by, to be added over the micro-batches of an update; null where nothing does. */
  sums: Parameters | null;
}

/**
 * Σ losses / normalizer + auxScale · auxLoss. losses float32 [R], 0 where the target, int32 [R], is negative. A batch
 * without any target has the loss 0.
 */
export function combineLosses(
  losses: Tensor,
  targets: Tensor,
  auxLoss: Tensor | null,
  { normalizer, auxScale = 1 }: LossOptions,
): Omit<ModelLoss<never>, 'traces' | 'sums'> {
  const count = normalizer ?? maximum(sum(cast(greaterEqual(targets, 0), 'float32')), 1);
  const crossEntropy = divide(sum(losses), count);
  const scaled = auxLoss && auxScale !== 1 ? multiply(auxLoss, auxScale) : auxLoss;
  return { loss: scaled ? add(crossEntropy, scaled) : crossEntropy, crossEntropy, auxLoss: scaled };
}
