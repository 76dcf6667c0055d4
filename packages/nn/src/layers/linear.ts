// Linear layer, embedding and layer norm as functions over named parameters. GPT-2 layout: weights are [in, out].
import {
  biasActivation, cast, gatherRows, layerNorm, matmulWeight, parameter,
  type Activation, type ForwardContext, type ParameterSpec, type Parameters, type Tensor,
} from '@xmoe/core';

export interface LinearOptions {
  readonly inputs: number;
  readonly outputs: number;
  /** Standard deviation of the initial weights. */
  readonly std: number;
}

/** Specs of `name.weight` [inputs, outputs] and `name.bias` [outputs]. */
export function linearParameters(name: string, { inputs, outputs, std }: LinearOptions): ParameterSpec[] {
  return [
    { name: `${name}.weight`, shape: [inputs, outputs], init: { kind: 'normal', std }, decay: true },
    { name: `${name}.bias`, shape: [outputs], init: { kind: 'zeros' }, decay: false },
  ];
}

/** activation(x·W + b). x [R, inputs] → [R, outputs]. */
export function linear(parameters: Parameters, name: string, x: Tensor, activation: Activation = 'none'): Tensor {
  return biasActivation(matmulWeight(x, parameter(parameters, `${name}.weight`)), parameter(parameters, `${name}.bias`), activation);
}

/** Spec of `name.weight` [entries, width]. */
export function embeddingParameters(name: string, entries: number, width: number, std: number): ParameterSpec[] {
  return [{ name: `${name}.weight`, shape: [entries, width], init: { kind: 'normal', std }, decay: true }];
}

/** Rows of `name.weight` for ids int32 [R]: [R, width] in the compute dtype. */
export function embedding(parameters: Parameters, name: string, ids: Tensor, context: ForwardContext): Tensor {
  return cast(gatherRows(parameter(parameters, `${name}.weight`), ids), context.computeDType);
}

/** Specs of `name.weight` and `name.bias`, [width] each. */
export function layerNormParameters(name: string, width: number): ParameterSpec[] {
  return [
    { name: `${name}.weight`, shape: [width], init: { kind: 'ones' }, decay: false },
    { name: `${name}.bias`, shape: [width], init: { kind: 'zeros' }, decay: false },
  ];
}

/** Layer normalisation of x [R, width]. */
export function normalize(parameters: Parameters, name: string, x: Tensor, epsilon = 1e-5): Tensor {
  return layerNorm(x, parameter(parameters, `${name}.weight`), parameter(parameters, `${name}.bias`), { epsilon });
}
