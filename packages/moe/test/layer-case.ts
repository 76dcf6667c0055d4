// One problem for the tensor layer and for the triple loop: the same numbers in both forms. Not a test.
import {
  foldIn, hostNormal, hostPermutation, initializeParameters, isTrained, mapTree, multiply, randomKey, add, sum, valueAndGrad,
  type Engine, type ForwardContext, type Shape, type Tensor,
} from '@xmoe/core';
import { capacityOf, createMoeFeedForward, type ExpertRanks, type DispatchPath, type ExpertActivation, type MoeFeedForwardConfig, type RoutingTrace } from '@xmoe/moe';
import { type LossCoefficients, type MoeGradients, type MoeLayerInput, type MoeLayerOutput, moeLayerGradients, moeLayerReference } from '@xmoe/moe/reference';
import { routerRow, type RouterConfig } from '@xmoe/routers/by-name';

export interface LayerCase {
  router: RouterConfig;
  dispatch: DispatchPath;
  activation: ExpertActivation;
  masked: boolean;
}

export const [T, N, d] = [13, 5, 4];
const s = 6;
const coefficients: Required<LossCoefficients> = { balance: 0.3, z: 0.05 };
const capacityFactor = 1.2;
export const mask = Array.from({ length: T }, (_, token) => token !== 2 && token !== 9);
const tokenIds = Array.from(hostPermutation(randomKey(8), T), (id) => id % 7);

const normal = (name: string, length: number): Float64Array => Float64Array.from(hostNormal(foldIn(randomKey(5), name), length));

const upstream = normal('upstream', T * d);
/** Columns of a gate with null experts, and of one without. */
const WITH_NULLS = N + 3;
const nulled = normal('router with nulls', d * WITH_NULLS);
const columnsOf = ({ router }: LayerCase): number => routerRow('the case', 'router', router.type).gateOutputs?.(router, N) ?? N;
const numbers = {
  x: normal('x', T * d),
  routerWeight: normal('router', d * N),
  w1: normal('w1', N * d * s),
  b1: normal('b1', N * s),
  w2: normal('w2', N * s * d),
  b2: normal('b2', N * d),
};
const numbersOf = (item?: LayerCase): typeof numbers => (item && columnsOf(item) === WITH_NULLS ? { ...numbers, routerWeight: nulled } : numbers);
const shapes = { x: [T, d], routerWeight: [d, N], w1: [N, d, s], b1: [N, s], w2: [N, s, d], b2: [N, d] } as const;
export type NumberName = keyof typeof numbers;
export const NAMES = Object.keys(numbers) as NumberName[];

function plainInput(item: LayerCase): MoeLayerInput {
  const { router, dispatch, activation, masked } = item;
  const { x, ...parameters } = numbersOf(item);
  const group = { tokenIds, mask: masked ? mask : undefined, precision: 'float64', training: true, capacity: capacityOf({ T, N, capacityFactor, minCapacity: 1 }) } as const;
  const { reference } = routerRow('the case', 'router', router.type);
  return { T, N, gateOutputs: columnsOf(item), d, s, x, parameters, route: (logits) => reference(router, { ...group, logits }), dispatch, activation, capacityFactor, minCapacity: 1 };
}

export const expectedOf = (item: LayerCase): { forward: MoeLayerOutput; gradients: MoeGradients } => {
  const input = plainInput(item);
  return { forward: moeLayerReference(input), gradients: moeLayerGradients(input, upstream, coefficients) };
};

export function configOf({ router, dispatch, activation }: LayerCase): MoeFeedForwardConfig {
  return {
    name: 'h.1.mlp', width: d, hidden: s, experts: N, activation, router, dispatch, capacityFactor, minCapacity: 1,
    balanceCoefficient: coefficients.balance, zCoefficient: coefficients.z, initStd: 0.1, vocabularySize: 7, trackPositive: true,
  };
}

/** The layer's parameters as tensors under their names, from the numbers of the case. */
export function parametersOn(leaves: Record<NumberName, Tensor>): Record<string, Tensor> {
  const { routerWeight, w1, b1, w2, b2 } = leaves;
  const name = 'h.1.mlp';
  return { [`${name}.router.weight`]: routerWeight, [`${name}.experts.w1`]: w1, [`${name}.experts.b1`]: b1, [`${name}.experts.w2`]: w2, [`${name}.experts.b2`]: b2 };
}

/** Tensors of the numbers of a case; by default of one without null experts. */
export function leavesOn(engine: Engine, item?: LayerCase): Record<NumberName, Tensor> {
  const own = numbersOf(item);
  const shapeOf = (name: NumberName): Shape => (name === 'routerWeight' ? [d, own.routerWeight.length / d] : shapes[name]);
  return Object.fromEntries(NAMES.map((name) => [name, engine.tensor(Float32Array.from(own[name]), shapeOf(name), 'float32')])) as Record<NumberName, Tensor>;
}

/** As {@link leavesOn} with every digit, for engines that store float64. */
export function exactLeavesOn(engine: Engine, item?: LayerCase): Record<NumberName, Tensor> {
  const leaves = leavesOn(engine, item);
  for (const name of NAMES) leaves[name].write(numbersOf(item)[name]);
  return leaves;
}

export function contextOn(engine: Engine, masked: boolean, options: Partial<ForwardContext> = {}): ForwardContext {
  return {
    training: true,
    key: null,
    computeDType: 'float32',
    tokenIds: engine.tensor(tokenIds, [T], 'int32'),
    mask: masked ? engine.tensor(mask, [T], 'bool') : null,
    collect: 'tokens',
    ...options,
  };
}

export interface LayerRun {
  output: Tensor;
  auxLoss: Tensor | null;
  trace: RoutingTrace;
  gradients: Record<NumberName, Tensor>;
}

/** Forward and backward of Σ y·upstream + auxLoss. */
export function runLayer(engine: Engine, item: LayerCase, leaves = leavesOn(engine, item), context = contextOn(engine, item.masked), ranks?: ExpertRanks): LayerRun {
  const layer = createMoeFeedForward({ ...configOf(item), ranks });
  const states = initializeParameters(engine, layer.parameters.filter((spec) => !isTrained(spec)), randomKey(1));
  const weight = engine.zeros([T, d]);
  weight.write(upstream);
  const { aux, gradients } = valueAndGrad(
    engine,
    (inputs) => {
      const { output, auxLoss, trace } = layer.apply({ ...parametersOn(inputs), ...states }, inputs.x, context);
      const main = sum(multiply(output, weight));
      return { loss: auxLoss ? add(main, auxLoss) : main, aux: { output, auxLoss, trace: trace! } };
    },
    leaves,
  );
  return { ...aux, gradients: mapTree(gradients, (leaf) => leaf) };
}
