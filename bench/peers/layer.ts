// The MoE layer of our CPU engine, forward and backward: against its own dense layer of equal FLOPs (tax, granularity, router
// share), and against PyTorch's two MoE layers. All take turns in one run.
import type { Shape } from '@xmoe/core';
import { denseFlops } from '@xmoe/moe';
import { disposeAll, normalTensor, type Device } from '../forward-backward.js';
import { measureInterleaved, ratioOf, type MeasureOptions, type Timing } from '../measure.js';
import { casesOf, denseLayer, layerContestant, routingContestant, type Case, type Setting } from '../moe-contestants.js';
import { MOE_SHAPES, type ExpertSplit, type MoeShape } from '../shapes.js';
import { TIME_COLUMNS, type Row, type Table } from '../table.js';
import { requireAgreement } from './formula.js';
import { layerValues } from './layer-values.js';
import { TARGETS, verdict, verdictColumns, type Target } from './target.js';
import type { TorchLayer, TorchPeer } from './torch.js';

/** One of PyTorch's layers at one split. */
interface TheirLayer {
  readonly kind: 'dense' | 'sorted' | 'einsum';
  readonly split: ExpertSplit | null;
  readonly timing: Timing;
}

/** Ours. */
interface Timings {
  readonly dense: Timing;
  readonly layers: readonly { readonly item: Case; readonly timing: Timing }[];
  /** At the finest split. */
  readonly routing: readonly { readonly item: Case; readonly timing: Timing }[];
  readonly theirs: readonly TheirLayer[];
}

/** `torch` is null where it is absent. */
export async function benchPeerLayer(ours: Device, torch: TorchPeer | null, quick: boolean, options: MeasureOptions): Promise<Table[]> {
  const shape = MOE_SHAPES[quick ? 'quick' : 'full'];
  const timings = await measureAll(ours, torch, shape, options);
  const tables = [taxTable(shape, timings), shareTable(shape, timings)];
  return torch ? [...tables, torchTable(shape, timings)] : tables;
}

async function measureAll({ engine }: Device, torch: TorchPeer | null, shape: MoeShape, options: MeasureOptions): Promise<Timings> {
  const [x, dy] = [1, 2].map((seed) => normalTensor(engine, [shape.tokens, shape.width], seed));
  const setting: Setting = { engine, shape, x, dy, kept: [x, dy] };
  const dense = denseLayer(setting);
  // The padded path is measured without --peers.
  const cases = shape.splits.flatMap((split) => casesOf(setting, split)).filter(({ recipe }) => recipe.dispatch !== 'padded');
  const finest = cases.filter(({ split }) => split === shape.splits.at(-1));
  const theirs = torch ? await prepareTheirs(setting, torch, cases) : [];
  const contestants = [layerContestant(setting, dense), ...cases.map((item) => layerContestant(setting, item)), ...finest.map((item) => routingContestant(setting, item))];
  const timings = await measureInterleaved([...contestants, ...theirs.map(({ contestant }) => contestant)], options);
  disposeAll(setting.kept);
  await torch?.drop();
  return {
    dense: timings[0],
    layers: cases.map((item, index) => ({ item, timing: timings[1 + index] })),
    routing: finest.map((item, index) => ({ item, timing: timings[1 + cases.length + index] })),
    theirs: theirs.map(({ kind, split }, index) => ({ kind, split, timing: timings[contestants.length + index] })),
  };
}

/** Each does what ours does with the same choices, or nothing is measured. */
async function prepareTheirs(setting: Setting, torch: TorchPeer, cases: readonly Case[]) {
  const { tokens, width, denseHidden } = setting.shape;
  const prepare = async (kind: TorchLayer['layer'], split: ExpertSplit | null, shapes: readonly Shape[]) => {
    const prepared = await torch.prepareLayer({ layer: kind, tokens, width, shapes, experts: split?.experts, k: split?.capacityFactor });
    return { kind, split, ...prepared };
  };
  const theirs = [await prepare('dense', null, [[width, denseHidden], [denseHidden], [denseHidden, width], [width]])];
  for (const item of cases.filter(({ recipe }) => recipe.label === 'uniform' && recipe.dispatch === 'grouped')) {
    const ours = await layerValues(setting, item);
    for (const kind of ['sorted', 'einsum'] as const) {
      const layer = await prepare(kind, item.split, item.layer.parameters.map((spec) => spec.shape));
      requireAgreement(`the ${kind} layer at ${splitName(item.split)}`, torch.name, ours, layer.values);
      theirs.push(layer);
    }
  }
  return theirs;
}

const splitName = ({ experts, hidden, capacityFactor }: ExpertSplit): string => `${experts}×${hidden} (γ=${capacityFactor})`;

const SIZES = ({ tokens, width, denseHidden }: MoeShape): string => `T = ${tokens}, d = ${width}, γ·s = ${denseHidden}`;

function taxTable(shape: MoeShape, { dense, layers }: Timings): Table {
  const flops = 3 * denseFlops({ tokens: shape.tokens, width: shape.width, hidden: shape.denseHidden });
  const times = ({ min, median }: Timing): Row => ({ minMs: min, medianMs: median, gflops: flops / min / 1e6 });
  return {
    id: 'peers-layer',
    title: 'MoE layer: sparsity tax',
    note: `${SIZES(shape)}; forward and backward with the gradients of the input and all weights. Tax: time / time of the dense layer of equal FLOPs.`,
    columns: [
      { key: 'split', label: 'N×s' }, { key: 'router', label: 'router' }, { key: 'dispatch', label: 'dispatch' }, ...TIME_COLUMNS,
      { key: 'gflops', label: 'GFLOP/s', digits: 1 }, ...verdictColumns('tax'),
    ],
    rows: [
      { split: `1×${shape.denseHidden}`, router: 'none', dispatch: 'dense', ...times(dense) },
      ...layers.map(({ item: { split, recipe }, timing }) => ({
        split: splitName(split), router: recipe.label, dispatch: recipe.dispatch, ...times(timing), ...verdict(ratioOf(timing, dense), TARGETS.tax),
      })),
    ],
  };
}

function shareTable({ splits }: MoeShape, { layers, routing }: Timings): Table {
  const rows = routing.flatMap(({ item: { recipe }, timing }): Row[] => {
    const at = (split: ExpertSplit): Timing => layers.find(({ item }) => item.split === split && item.recipe === recipe)!.timing;
    const [coarse, fine] = [at(splits[0]), at(splits.at(-1)!)];
    const names = { router: recipe.label, dispatch: recipe.dispatch };
    return [
      { figure: 'granularity penalty', ...names, ...verdict(ratioOf(fine, coarse), TARGETS.granularity) },
      { figure: 'router share', ...names, ...verdict(ratioOf(timing, fine), TARGETS.routerShare) },
    ];
  });
  return {
    id: 'peers-layer-summary',
    title: 'MoE layer: granularity penalty and router share',
    note: `Granularity penalty: time at ${splitName(splits.at(-1)!)} / time at ${splitName(splits[0])}. Router share: time of gate, router, balance loss and plan `
      + `with their gradients / time of the layer at N = ${splits.at(-1)!.experts}.`,
    columns: [{ key: 'figure', label: 'figure' }, { key: 'router', label: 'router' }, { key: 'dispatch', label: 'dispatch' }, ...verdictColumns('ratio', 3)],
    rows,
  };
}

const THEIR_LAYERS = { dense: 'dense', sorted: 'sort and gather', einsum: 'einsum over [T, N, C]' } as const;

/** Ours is the grouped path with forced-uniform routing, which makes the same claims. */
function torchTable(shape: MoeShape, { dense, layers, theirs }: Timings): Table {
  const rows = theirs.flatMap(({ kind, split, timing }): Row[] => {
    const target: Target | null = split === shape.splits.at(-1) && kind !== 'dense' ? TARGETS[kind] : null;
    const ours = split === null
      ? [{ dispatch: 'dense', timing: dense }]
      : layers.filter(({ item }) => item.split === split && item.recipe.label === 'uniform').map((layer) => ({ dispatch: layer.item.recipe.dispatch, timing: layer.timing }));
    return ours.map((layer) => ({
      split: split ? splitName(split) : `1×${shape.denseHidden}`, dispatch: layer.dispatch, theirs: THEIR_LAYERS[kind],
      oursMs: layer.timing.min, theirsMs: timing.min, ...verdict(ratioOf(timing, layer.timing), target),
    }));
  });
  return {
    id: 'peers-torch',
    title: 'MoE layer beside PyTorch',
    note: `${SIZES(shape)}; the same work with the same forced-uniform choices: ours by two dispatch paths, PyTorch's by sorting claims and gathering rows, and by `
      + 'dense masks as in the published code. Losses and gradients are compared first. Ours / peer: how many times faster ours is.',
    columns: [
      { key: 'split', label: 'N×s' }, { key: 'dispatch', label: 'ours' }, { key: 'theirs', label: 'PyTorch' },
      { key: 'oursMs', label: 'ours min ms' }, { key: 'theirsMs', label: 'PyTorch min ms' }, ...verdictColumns('ours / peer'),
    ],
    rows,
  };
}
