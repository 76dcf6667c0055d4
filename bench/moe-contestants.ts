// What takes turns in the layer benchmark: the dense layer, MoE layers, and their routing alone. It measures nothing.
import { initializeParameters, randomKey, type Engine, type FeedForward, type Tensor } from '@xmoe/core';
import { createMoeFeedForward, disposeTrace, planDispatch, summarizeTrace, type DispatchPath, type RoutingTrace } from '@xmoe/moe';
import { createDenseFeedForward } from '@xmoe/nn';
import { createRouter, gate, type RouterConfig } from '@xmoe/routers';
import { forwardAndBackward, normalTensor, scalarLoss, TRAINING, withGateStd } from './forward-backward.js';
import type { Contestant } from './measure.js';
import { GATE_STD, routingLoss } from './router.js';
import type { ExpertSplit, MoeShape } from './shapes.js';

/** A router with a dispatch path. */
export interface Recipe {
  readonly label: string;
  readonly dispatch: DispatchPath;
  router(split: ExpertSplit): RouterConfig;
}

const uniform = (dispatch: DispatchPath): Recipe => ({ label: 'uniform', dispatch, router: ({ capacityFactor }) => ({ type: 'uniform', k: capacityFactor }) });
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

function keep<Parameters extends Record<string, Tensor>>(kept: Tensor[], parameters: Parameters): Parameters {
  kept.push(...Object.values(parameters));
  return parameters;
}

/** d → γ·s → d. */
export function denseLayer({ engine, kept, shape: { width, denseHidden } }: Setting): Layer {
  const layer = createDenseFeedForward({
    name: 'dense', width, hidden: denseHidden, activation: 'gelu-tanh', std: scaled(width), outputStd: scaled(denseHidden),
  });
  return { layer, parameters: keep(kept, initializeParameters(engine, layer.parameters, randomKey(4))) };
}

/** The recipes at one split, on the same parameters. */
export function casesOf({ engine, shape, kept }: Setting, split: ExpertSplit): Case[] {
  const layers = RECIPES.map((recipe) =>
    createMoeFeedForward({
      name: NAME, width: shape.width, ...split, router: recipe.router(split), dispatch: recipe.dispatch,
      initStd: scaled(shape.width), outputStd: scaled(split.hidden),
    }),
  );
  const parameters = keep(kept, initializeParameters(engine, withGateStd(layers[0].parameters, GATE_STD), randomKey(5)));
  return layers.map((layer, index) => ({ split, recipe: RECIPES[index], layer, parameters }));
}

/** Forward, then the gradients of the input and of every weight. */
export function layerContestant({ engine, x, dy }: Setting, { layer, parameters }: Layer): Contestant {
  const loss = ({ x: input, ...weights }: Record<string, Tensor>): Tensor => {
    const { output, auxLoss } = layer.apply(weights, input, TRAINING);
    return scalarLoss(output, dy, auxLoss);
  };
  return { name: 'layer', run: () => forwardAndBackward(engine, loss, { x, ...parameters }) };
}

/** What the layer does beside its experts: gate, router, balance loss, plan, and the gradients of input and gate. */
export function routingContestant({ engine, shape, x, kept }: Setting, { split, recipe, parameters }: Case): Contestant {
  const { experts, capacityFactor } = split;
  const { tokens } = shape;
  const router = createRouter(recipe.router(split));
  const dWeights = normalTensor(engine, [tokens, router.maxChoices(experts)], 6);
  kept.push(dWeights);
  const loss = ({ x: input, weight }: Record<string, Tensor>): Tensor => {
    const routing = router.route({ engine, logits: gate(input, weight), tokens, experts, training: true, losses: { balance: true, z: false } });
    planDispatch(routing, { dispatch: recipe.dispatch, capacityFactor });
    return routingLoss(routing, dWeights);
  };
  return { name: 'routing', run: () => forwardAndBackward(engine, loss, { x, weight: parameters[`${NAME}.router.weight`] }) };
}

/** Experts per token that the router wanted and that the dispatch kept. */
export async function countClaims({ engine, x }: Setting, { layer, parameters }: Layer): Promise<{ wanted: number; kept: number }> {
  const trace = engine.scope(() => layer.apply(parameters, x, { ...TRAINING, collect: 'statistics' }).trace!);
  const { expertsWantedPerToken, expertsKeptPerToken } = await summarizeTrace(trace);
  disposeTrace(trace);
  return { wanted: expertsWantedPerToken, kept: expertsKeptPerToken };
}
