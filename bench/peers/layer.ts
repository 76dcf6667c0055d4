// An MoE layer of ours, forward and backward: against its own dense layer of equal FLOPs (tax, granularity, router share), and
// against PyTorch's MoE layers. All take turns in one run. On which device and at which sizes is the caller's to say.
import { isXMoEError, type Engine, type FloatDType, type Shape } from '@xmoe/core';
import { denseFlops, type DispatchPath } from '@xmoe/moe';
import { disposeAll, normalTensor, type Device, type Pass, type Work } from '../forward-backward.js';
import { measureInterleaved, ratioOf, type MeasureOptions, type Timing } from '../measure.js';
import { casesOf, denseLayer, layerWork, routingWork, type Case, type Setting } from '../moe-contestants.js';
import type { ExpertSplit, MoeShape } from '../shapes.js';
import { TIME_COLUMNS, type Row, type Table } from '../table.js';
import { requireAgreement } from './formula.js';
import { layerValues } from './layer-values.js';
import { verdict, verdictColumns, type Target } from './target.js';
import type { TorchLayer, TorchPeer } from './torch.js';

type TheirKind = Exclude<TorchLayer['layer'], 'dense'>;

export interface LayerComparison {
  readonly ours: Device;
  /** null where it is absent. */
  readonly torch: TorchPeer | null;
  readonly shape: MoeShape;
  readonly dtype: FloatDType;
  readonly paths: readonly DispatchPath[];
  /** Which of PyTorch's layers. */
  readonly theirs: readonly TheirKind[];
  readonly targets: {
    readonly tax: Target;
    readonly granularity: Target;
    readonly routerShare: Target;
    /** How many times faster than PyTorch's, at the finest split. */
    readonly theirs: Partial<Record<TheirKind, Target>>;
  };
  /** A pass of ours as a contestant. */
  pass(engine: Engine, work: Work): Pass;
  /** The sizes at which both sides must compute the same before anything is timed. */
  readonly agreement: MoeShape;
  /** Tells comparisons of one run apart, in ids and titles; may be empty. */
  readonly label: string;
}

/** One of PyTorch's layers at one split. */
interface TheirLayer {
  readonly kind: TorchLayer['layer'];
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
  /** What PyTorch could not do, and why. */
  readonly failures: readonly string[];
}

export async function compareLayers(comparison: LayerComparison, options: MeasureOptions): Promise<Table[]> {
  const timings = await measureAll(comparison, options);
  const tables = [taxTable(comparison, timings), shareTable(comparison, timings)];
  return comparison.torch ? [...tables, torchTable(comparison, timings)] : tables;
}

async function measureAll(comparison: LayerComparison, options: MeasureOptions): Promise<Timings> {
  const { ours: { engine }, torch, shape, dtype, paths, pass } = comparison;
  if (torch) await requireSameWork(comparison, torch);
  const [x, dy] = [1, 2].map((seed) => normalTensor(engine, [shape.tokens, shape.width], seed, dtype));
  const setting: Setting = { engine, shape, x, dy, kept: [x, dy] };
  const dense = denseLayer(setting);
  const cases = shape.splits.flatMap((split) => casesOf(setting, split)).filter(({ recipe }) => paths.includes(recipe.dispatch));
  const finest = cases.filter(({ split }) => split === shape.splits.at(-1));
  const { prepared, failures } = torch ? await prepareTheirs(comparison, torch, cases) : { prepared: [], failures: [] };
  const works = [layerWork(setting, dense), ...cases.map((item) => layerWork(setting, item)), ...finest.map((item) => routingWork(setting, item))];
  const passes = works.map((work) => pass(engine, work));
  const timings = await measureInterleaved([...passes, ...prepared].map(({ contestant }) => contestant), options);
  for (const item of passes) item.dispose();
  disposeAll(setting.kept);
  await torch?.drop();
  return {
    dense: timings[0],
    layers: cases.map((item, index) => ({ item, timing: timings[1 + index] })),
    routing: finest.map((item, index) => ({ item, timing: timings[1 + cases.length + index] })),
    theirs: prepared.map(({ kind, split }, index) => ({ kind, split, timing: timings[passes.length + index] })),
    failures,
  };
}

/** Half precision rounds every product. */
const AGREEMENT: Readonly<Record<FloatDType, number>> = { float32: 2e-3, float16: 5e-2 };

/** Each does what ours does with the same choices, or nothing is measured. */
async function requireSameWork({ ours: { engine }, agreement: shape, dtype, theirs }: LayerComparison, torch: TorchPeer): Promise<void> {
  const [x, dy] = [1, 2].map((seed) => normalTensor(engine, [shape.tokens, shape.width], seed, dtype));
  const setting: Setting = { engine, shape, x, dy, kept: [x, dy] };
  for (const item of shape.splits.flatMap((split) => casesOf(setting, split).filter(isUniformGrouped))) {
    const values = await layerValues(setting, item, dtype);
    for (const kind of theirs) {
      const layer = await torch.prepareLayer(torchLayer(shape, kind, item, dtype));
      requireAgreement(`the ${kind} layer at ${splitName(item.split)} in ${dtype}`, torch.name, values, layer.values, AGREEMENT[dtype]);
    }
    await torch.drop();
  }
  disposeAll(setting.kept);
}

const isUniformGrouped = ({ recipe }: Case): boolean => recipe.label === 'uniform' && recipe.dispatch === 'grouped';

function torchLayer({ tokens, width }: MoeShape, layer: TheirKind, { split, layer: { parameters } }: Case, dtype: FloatDType): TorchLayer {
  return { layer, tokens, width, dtype, shapes: parameters.map((spec) => spec.shape), experts: split.experts, k: split.capacityFactor };
}

async function prepareTheirs({ shape, dtype, theirs }: LayerComparison, torch: TorchPeer, cases: readonly Case[]) {
  const { tokens, width, denseHidden } = shape;
  const prepared: (Omit<TheirLayer, 'timing'> & Awaited<ReturnType<TorchPeer['prepareLayer']>>)[] = [];
  const failures: string[] = [];
  const prepare = async (split: ExpertSplit | null, layer: TorchLayer): Promise<void> => {
    try {
      prepared.push({ kind: layer.layer, split, ...(await torch.prepareLayer(layer)) });
    } catch (error) {
      if (!isXMoEError(error)) throw error;
      failures.push(`${THEIR_LAYERS[layer.layer]} at ${split ? splitName(split) : 'full width'}: ${error.message.slice(0, 120)}`);
    }
  };
  const shapes: readonly Shape[] = [[width, denseHidden], [denseHidden], [denseHidden, width], [width]];
  await prepare(null, { layer: 'dense', tokens, width, dtype, shapes });
  for (const item of cases.filter(isUniformGrouped)) {
    for (const kind of theirs) await prepare(item.split, torchLayer(shape, kind, item, dtype));
  }
  return { prepared, failures };
}

const splitName = ({ experts, hidden, capacityFactor }: ExpertSplit): string => `${experts}×${hidden} (γ=${capacityFactor})`;

const sizes = ({ shape: { tokens, width, denseHidden }, dtype }: LayerComparison): string => `T = ${tokens}, d = ${width}, γ·s = ${denseHidden}, ${dtype}`;
const titled = ({ label }: LayerComparison, title: string): string => (label ? `${title} (${label})` : title);
const identified = ({ label }: LayerComparison, id: string): string => (label ? `${id} ${label}` : id);

function taxTable(comparison: LayerComparison, { dense, layers }: Timings): Table {
  const { shape, targets } = comparison;
  const flops = 3 * denseFlops({ tokens: shape.tokens, width: shape.width, hidden: shape.denseHidden });
  const times = ({ min, median }: Timing): Row => ({ minMs: min, medianMs: median, gflops: flops / min / 1e6 });
  return {
    id: identified(comparison, 'peers-layer'),
    title: titled(comparison, 'MoE layer: sparsity tax'),
    note: `${sizes(comparison)}; forward and backward with the gradients of the input and all weights. Tax: time / time of the dense layer of equal FLOPs.`,
    columns: [
      { key: 'split', label: 'N×s' }, { key: 'router', label: 'router' }, { key: 'dispatch', label: 'dispatch' }, ...TIME_COLUMNS,
      { key: 'gflops', label: 'GFLOP/s', digits: 1 }, ...verdictColumns('tax'),
    ],
    rows: [
      { split: `1×${shape.denseHidden}`, router: 'none', dispatch: 'dense', ...times(dense) },
      ...layers.map(({ item: { split, recipe }, timing }) => ({
        split: splitName(split), router: recipe.label, dispatch: recipe.dispatch, ...times(timing), ...verdict(ratioOf(timing, dense), targets.tax),
      })),
    ],
  };
}

function shareTable(comparison: LayerComparison, { layers, routing }: Timings): Table {
  const { shape: { splits }, targets } = comparison;
  const rows = routing.flatMap(({ item: { recipe }, timing }): Row[] => {
    const at = (split: ExpertSplit): Timing => layers.find(({ item }) => item.split === split && item.recipe === recipe)!.timing;
    const [coarse, fine] = [at(splits[0]), at(splits.at(-1)!)];
    const names = { router: recipe.label, dispatch: recipe.dispatch };
    return [
      { figure: 'granularity penalty', ...names, ...verdict(ratioOf(fine, coarse), targets.granularity) },
      { figure: 'router share', ...names, ...verdict(ratioOf(timing, fine), targets.routerShare) },
    ];
  });
  return {
    id: identified(comparison, 'peers-layer-summary'),
    title: titled(comparison, 'MoE layer: granularity penalty and router share'),
    note: `Granularity penalty: time at ${splitName(splits.at(-1)!)} / time at ${splitName(splits[0])}. Router share: time of gate, router, balance loss and plan `
      + `with their gradients / time of the layer at N = ${splits.at(-1)!.experts}.`,
    columns: [{ key: 'figure', label: 'figure' }, { key: 'router', label: 'router' }, { key: 'dispatch', label: 'dispatch' }, ...verdictColumns('ratio', 3)],
    rows,
  };
}

const THEIR_LAYERS = { dense: 'dense', sorted: 'sort and gather', grouped: 'sort and one batched product', einsum: 'einsum over [T, N, C]' } as const;

/** Ours are those with forced-uniform routing, which makes the same claims. */
function torchTable(comparison: LayerComparison, { dense, layers, theirs, failures }: Timings): Table {
  const { shape, targets } = comparison;
  const rows = theirs.flatMap(({ kind, split, timing }): Row[] => {
    const target = split === shape.splits.at(-1) && kind !== 'dense' ? (targets.theirs[kind] ?? null) : null;
    const ours = split === null
      ? [{ dispatch: 'dense', timing: dense }]
      : layers.filter(({ item }) => item.split === split && item.recipe.label === 'uniform').map((layer) => ({ dispatch: layer.item.recipe.dispatch, timing: layer.timing }));
    return ours.map((layer) => ({
      split: split ? splitName(split) : `1×${shape.denseHidden}`, dispatch: layer.dispatch, theirs: THEIR_LAYERS[kind],
      oursMs: layer.timing.min, theirsMs: timing.min, ...verdict(ratioOf(timing, layer.timing), target),
    }));
  });
  return {
    id: identified(comparison, 'peers-torch'),
    title: titled(comparison, 'MoE layer beside PyTorch'),
    note: `${sizes(comparison)}; the same work with the same forced-uniform choices: ours by its dispatch paths, PyTorch's by sorting claims and gathering rows, and by `
      + 'dense masks as in the published code. Losses and gradients are compared first. Ours / peer: how many times faster ours is.'
      + failures.map((failure) => ` Not measured: ${failure}.`).join(''),
    columns: [
      { key: 'split', label: 'N×s' }, { key: 'dispatch', label: 'ours' }, { key: 'theirs', label: 'PyTorch' },
      { key: 'oursMs', label: 'ours min ms' }, { key: 'theirsMs', label: 'PyTorch min ms' }, ...verdictColumns('ours / peer'),
    ],
    rows,
  };
}
