// What takes turns in the layer benchmark: the dense layer, MoE layers, and their routing alone. It measures nothing.
import { initializeParameters, randomKey, type Engine, type FeedForward, type FloatDType, type ForwardContext, type Tensor } from '@xmoe/core';
import { createMoeFeedForward, disposeTrace, planDispatch, summarizeTrace, type DispatchPath, type RoutingTrace } from '@xmoe/moe';
import { createDenseFeedForward } from '@xmoe/nn';
import { gate } from '@xmoe/routers';
import { createRouter, type RouterConfig } from '@xmoe/routers/by-name';
import { inDType, normalTensor, scalarLoss, TRAINING, withGateStd, type Work } from './forward-backward.js';
import { GATE_STD, routingLoss } from './router.js';
import type { ExpertSplit, MoeShape } from './shapes.js';

/** A router with a dispatch path. */
export interface Recipe {
  readonly label: string;
  readonly dispatch: DispatchPath;
  router(split: ExpertSplit): RouterConfig;
}

const uniform = (dispatch: DispatchPath): Recipe => ({ label: 'uniform', dispatch, router: ({ capacityFactor }) => ({ type: 'uniform', k: capacityFactor }) });
/** Dropless top-k of as many experts as γ pays for. */
export const DROPLESS: Recipe = { label: 'top-k', dispatch: 'grouped', router: ({ capacityFactor }) => ({ type: 'topk', k: capacityFactor, renormalize: true }) };
const threshold = (dispatch: DispatchPath): Recipe => ({ label: 'threshold 0.9', dispatch, router: () => ({ type: 'threshold', threshold: 0.9 }) });

/** Forced-uniform routing keeps exactly γ·T claims on each path. The threshold router is used with a bound on its claims. */
export const RECIPES: readonly Recipe[] = [uniform('padded'), uniform('grouped'), uniform('budget'), threshold('padded'), threshold('budget')];

/** What all contestants of one backend share. */
export interface Setting {
  readonly engine: Engine;
  readonly shape: MoeShape;
  /** [T, d]: the input and the gradient of the output. */
  readonly x: Tensor;
  readonly dy: Tensor;
  /** To be disposed at the end. */
  readonly kept: Tensor[];
}

/** A layer with its parameters, which may be shared. */
export interface Layer {
  readonly layer: FeedForward<RoutingTrace>;
  readonly parameters: Record<string, Tensor>;
}

/** One recipe at one split. */
export interface Case extends Layer {
  readonly split: ExpertSplit;
  readonly recipe: Recipe;
}

const NAME = 'moe';
const scaled = (inputs: number): number => inputs ** -0.5;

/** Kept, and in the dtype of the input, but for the gate, which is float32 whatever the rest is. */
function keep({ kept, x }: Setting, parameters: Record<string, Tensor>): Record<string, Tensor> {
  const entries = Object.entries(parameters).map(([name, tensor]) => [name, inDType(tensor, parameterDType(name, x.dtype as FloatDType))] as const);
  kept.push(...entries.map(([, tensor]) => tensor));
  return Object.fromEntries(entries);
}

export const parameterDType = (name: string, dtype: FloatDType): FloatDType => (name.includes('.router.') ? 'float32' : dtype);

/** d → γ·s → d. */
export function denseLayer(setting: Setting): Layer {
  const { engine, shape: { width, denseHidden } } = setting;
  const layer = createDenseFeedForward({
    name: 'dense', width, hidden: denseHidden, activation: 'gelu-tanh', std: scaled(width), outputStd: scaled(denseHidden),
  });
  return { layer, parameters: keep(setting, initializeParameters(engine, layer.parameters, randomKey(4))) };
}

/** The recipes at one split, on the same parameters. */
export function casesOf(setting: Setting, split: ExpertSplit, recipes = RECIPES): Case[] {
  const { engine, shape } = setting;
  const layers = recipes.map((recipe) =>
    createMoeFeedForward({
      name: NAME, width: shape.width, ...split, router: recipe.router(split), dispatch: recipe.dispatch,
      initStd: scaled(shape.width), outputStd: scaled(split.hidden),
    }),
  );
  const parameters = keep(setting, initializeParameters(engine, withGateStd(layers[0].parameters, GATE_STD), randomKey(5)));
  return layers.map((layer, index) => ({ split, recipe: recipes[index], layer, parameters }));
}

/** Forward, then the gradients of the input and of every weight, in the dtype of the setting's input. */
export function layerWork({ x, dy }: Setting, { layer, parameters }: Layer): Work {
  const context = { ...TRAINING, computeDType: x.dtype as FloatDType };
  return {
    parameters: { x, ...parameters },
    loss({ x: input, ...weights }) {
      const { output, auxLoss } = layer.apply(weights, input!, context);
      return scalarLoss(output, dy, auxLoss);
    },
  };
}

/** What the layer does beside its experts: gate, router, balance loss, plan, and the gradients of input and gate. */
export function routingWork({ engine, shape, x, kept }: Setting, { split, recipe, parameters }: Case): Work {
  const { experts, capacityFactor } = split;
  const { tokens } = shape;
  const router = createRouter(recipe.router(split));
  const dWeights = normalTensor(engine, [tokens, router.maxChoices(experts)], 6);
  kept.push(dWeights);
  return {
    parameters: { x, weight: parameters[`${NAME}.router.weight`]! },
    loss({ x: input, weight }) {
      const routing = router.route({ engine, logits: gate(input!, weight!), tokens, experts, training: true, losses: { balance: true, z: false } });
      planDispatch(routing, { dispatch: recipe.dispatch, capacityFactor });
      return routingLoss(routing, dWeights);
    },
  };
}

/** Experts per token that the router wanted and that the dispatch kept. */
export async function countClaims({ engine, x }: Setting, { layer, parameters }: Layer): Promise<{ wanted: number; kept: number }> {
  const context: ForwardContext = { ...TRAINING, computeDType: x.dtype as FloatDType, collect: 'statistics' };
  const trace = engine.scope(() => layer.apply(parameters, x, context).trace!);
  const { expertsPerToken, keptPerToken } = await summarizeTrace(trace);
  disposeTrace(trace);
  return { wanted: expertsPerToken, kept: keptPerToken };
}
