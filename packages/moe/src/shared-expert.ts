// The expert that every token takes beside those it is routed to (DeepSeekMoE, arXiv 2401.06066): a dense layer, added with weight 1. No routing here.
import { biasActivation, matmulWeight, parameter, reshape, select, type ForwardContext, type ParameterSpec, type Parameters, type Tensor } from '@xmoe/core';
import type { ExpertActivation } from './experts.js';

export interface SharedExpertSizes {
  readonly width: number;
  /** 0: there is none. */
  readonly hidden: number;
  readonly initStd: number;
  readonly outputStd: number;
}

/** Specs of `layer.shared.w1` [d, h], `.b1` [h], `.w2` [h, d], `.b2` [d]; none for h = 0. */
export function sharedExpertParameters(layer: string, { width, hidden, initStd, outputStd }: SharedExpertSizes): ParameterSpec[] {
  if (hidden === 0) return [];
  return [
    { name: `${layer}.shared.w1`, shape: [width, hidden], init: { kind: 'normal', std: initStd }, decay: true },
    { name: `${layer}.shared.b1`, shape: [hidden], init: { kind: 'zeros' }, decay: false },
    { name: `${layer}.shared.w2`, shape: [hidden, width], init: { kind: 'normal', std: outputStd }, decay: true },
    { name: `${layer}.shared.b2`, shape: [width], init: { kind: 'zeros' }, decay: false },
  ];
}

/** W2·act(W1·x + b1) + b2 of `layer.shared`, [T, d]; 0 for padding, whatever x holds there. */
export function applySharedExpert(parameters: Parameters, layer: string, x: Tensor, { mask }: Pick<ForwardContext, 'mask'>, activation: ExpertActivation): Tensor {
  const [w1, b1, w2, b2] = ['w1', 'b1', 'w2', 'b2'].map((part) => parameter(parameters, `${layer}.shared.${part}`)) as [Tensor, Tensor, Tensor, Tensor];
  return x.engine.scope(() => {
    const real = mask && reshape(mask, [mask.size, 1]);
    const clean = real ? select(real, x, 0) : x;
    const output = biasActivation(matmulWeight(biasActivation(matmulWeight(clean, w1), b1, activation), w2), b2, 'none');
    return real ? select(real, output, 0) : output;
  });
}
