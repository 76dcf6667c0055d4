// The MoE layer against the dense layer of equal FLOPs, forward and backward: sparsity tax, granularity penalty, router
// share. One backend per call; all sides of all ratios take turns in one run.
import { initializeParameters, randomKey, type Engine, type FeedForward, type ParameterSpec, type Tensor } from '@xmoe/core';
import { createMoeFeedForward, denseFlops, planDispatch, summarizeTrace, type DispatchPath, type RoutingTrace } from '@xmoe/moe';
import { createDenseFeedForward } from '@xmoe/nn';
import { createRouter, gate, type RouterConfig } from '@xmoe/routers';
import { disposeAll, forwardAndBackward, normalTensor, scalarLoss, TRAINING, withGateStd, type Device } from './forward-backward.js';
import { measureInterleaved, ratioOf, type Contestant, type MeasureOptions, type Timing } from './measure.js';
import { layerTable, summaryTable, type LayerResult, type SummaryResult } from './moe-tables.js';
import { GATE_STD, routingLoss } from './router.js';
import type { ExpertSplit, MoeShape, Scale } from './shapes.js';
import { MOE_SHAPES } from './shapes.js';
import type { Table } from './table.js';

/** A router with the dispatch path that it is used with. */
export interface Recipe {
  readonly label: string;
  readonly dispatch: DispatchPath;
  router(split: ExpertSplit): RouterConfig;
}

const uniform = (dispatch: DispatchPath): Recipe => ({ label: 'uniform', dispatch, router: ({ capacityFactor }) => ({ type: 'uniform', k: capacityFactor }) });
const threshold = (dispatch: DispatchPath): Recipe => ({ label: 'threshold 0.9', dispatch, router: () => ({ type: 'threshold', threshold: 0.9 }) });

/** Forced-uniform routing does the same work on each path. The threshold router is used with a bound on its claims. */
const RECIPES: readonly Recipe[] = [uniform('padded'), uniform('grouped'), uniform('budget'), threshold('padded'), threshold('budget')];

/** One recipe at one split. */
interface Case {
  readonly split: ExpertSplit;
  readonly recipe: Recipe;
  readonly layer: FeedForward<RoutingTrace>;
  readonly parameters: Record<string, Tensor>;
}

interface Bench {
  readonly engine: Engine;
  readonly shape: MoeShape;
  readonly x: Tensor;
  readonly dy: Tensor;
}

const NAME = 'moe';

export async function benchMoeLayer({ name, engine }: Device, scale: Scale, options: MeasureOptions): Promise<Table[]> {
  const shape = MOE_SHAPES[scale];
  const { tokens, width } = shape;
  const bench: Bench = { engine, shape, x: normalTensor(engine, [tokens, width], 1), dy: normalTensor(engine, [tokens, width], 2) };
  const dense = denseContestant(bench);
  const cases = shape.splits.flatMap((split) => casesOf(bench, split));
  const finest = cases.slice(-RECIPES.length);
  const upstream = normalTensor(engine, [tokens, finest[0].split.experts], 3);
  const contestants = [dense.contestant, ...cases.map((item) => layerContestant(bench, item)), ...finest.map((item) => routerContestant(bench, item, upstream))];
  const [denseTiming, ...timings] = await measureInterleaved(contestants, options);
  const layers: LayerResult[] = [];
  for (const [index, item] of cases.entries()) layers.push({ ...item, timing: timings[index], tax: ratioOf(timings[index], denseTiming), ...(await countClaims(bench, item)) });
  const summaries = finest.map((item, at) => summarize(item.recipe, timings, at, cases.length));
  disposeAll([bench.x, bench.dy, upstream, dense.parameters, ...cases.map(({ parameters }) => parameters)]);
  return [layerTable(name, scale, shape, denseTiming, layers), summaryTable(name, scale, shape, summaries)];
}

function summarize(recipe: Recipe, timings: readonly Timing[], at: number, layers: number): SummaryResult {
  const finest = timings[layers - RECIPES.length + at];
  return { recipe, granularity: ratioOf(finest, timings[at]), routerShare: ratioOf(timings[layers + at], finest) };
}

function denseContestant(bench: Bench): { contestant: Contestant; parameters: Record<string, Tensor> } {
  const { width, denseHidden } = bench.shape;
  const layer = createDenseFeedForward({ name: 'dense', width, hidden: denseHidden, activation: 'gelu-tanh', std: width ** -0.5, outputStd: denseHidden ** -0.5 });
  const parameters = initializeParameters(bench.engine, layer.parameters, randomKey(4));
  return { parameters, contestant: layerContestant(bench, { layer, parameters }, 'dense') };
}

/** The recipes at one split, on the same parameters. */
function casesOf({ engine, shape }: Bench, split: ExpertSplit): Case[] {
  const layers = RECIPES.map((recipe) =>
    createMoeFeedForward({
      name: NAME, width: shape.width, ...split, router: recipe.router(split), dispatch: recipe.dispatch,
      initStd: shape.width ** -0.5, outputStd: shape.denseHidden ** -0.5,
    }),
  );
  const specs: readonly ParameterSpec[] = withGateStd(layers[0].parameters, GATE_STD);
  const parameters = initializeParameters(engine, specs, randomKey(5));
  return layers.map((layer, index) => ({ split, recipe: RECIPES[index], layer, parameters }));
}

/** Forward, then the gradients of the input and of every weight. */
function layerContestant({ engine, x, dy }: Bench, { layer, parameters }: { layer: FeedForward<unknown>; parameters: Record<string, Tensor> }, name = NAME): Contestant {
  return {
    name,
    run: () =>
      forwardAndBackward(
        engine,
        ({ x: input, ...weights }) => {
          const { output, auxLoss } = layer.apply(weights, input, TRAINING);
          return scalarLoss(output, dy, auxLoss);
        },
        { x, ...parameters },
      ),
  };
}

/** What the layer does beside its experts: gate, router, balance loss, plan, and the gradients of input and gate. */
function routerContestant({ engine, shape, x }: Bench, { split, recipe, parameters }: Case, upstream: Tensor): Contestant {
  const { experts, capacityFactor } = split;
  const router = createRouter(recipe.router(split));
  const choices = router.maxChoices(experts);
  const dy = choices === experts ? upstream : slice(upstream, [0, 0], [shape.tokens, choices]);
  void dy;
  return {
    name: 'router',
    run: () =>
      forwardAndBackward(
        engine,
        ({ x: input, weight }) => {
          const routing = router.route({ engine, logits: gate(input, weight), tokens: shape.tokens, experts, training: true, losses: { balance: true, z: false } });
          planDispatch(routing, { dispatch: recipe.dispatch, capacityFactor, counts: false });
          return routingLoss(routing, upstream);
        },
        { x, weight: parameters[`${NAME}.router.weight`] },
      ),
  };
}

/** Experts per token that were wanted and kept: not timed. */
async function countClaims({ engine, x }: Bench, { layer, parameters }: Case): Promise<{ wanted: number; kept: number }> {
  const { trace } = engine.noGrad(() => layer.apply(parameters, x, { ...TRAINING, collect: 'statistics' }));
  const { expertsWantedPerToken: wanted, expertsKeptPerToken: kept } = await summarizeTrace(trace!);
  return { wanted, kept };
}
void denseFlops;
