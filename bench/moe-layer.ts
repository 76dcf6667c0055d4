// The MoE layer against the dense layer of equal FLOPs: sparsity tax, granularity penalty and router share (section by
// section in docs/benchmarks). One backend per call; all sides of all its ratios take turns in one run.
import { denseFlops } from '@xmoe/moe';
import { disposeAll, eagerPass, normalTensor, type Device, type Work } from './forward-backward.js';
import { measureInterleaved, ratioOf, type Contestant, type MeasureOptions, type Timing } from './measure.js';
import { casesOf, countClaims, denseLayer, layerWork, RECIPES, routingWork, type Case, type Setting } from './moe-contestants.js';
import { MOE_SHAPES, type ExpertSplit, type MoeShape, type Scale } from './shapes.js';
import { TIME_COLUMNS, type Row, type Table } from './table.js';

export async function benchMoeLayer({ name, engine }: Device, scale: Scale, options: MeasureOptions): Promise<Table[]> {
  const shape = MOE_SHAPES[scale];
  const [x, dy] = [1, 2].map((seed) => normalTensor(engine, [shape.tokens, shape.width], seed));
  const setting: Setting = { engine, shape, x, dy, kept: [x, dy] };
  const dense = denseLayer(setting);
  const cases = shape.splits.flatMap((split) => casesOf(setting, split));
  const finest = cases.slice(-RECIPES.length);
  const pass = (work: Work): Contestant => eagerPass('layer', engine, work).contestant;
  const [denseTiming, ...timings] = await measureInterleaved(
    [layerWork(setting, dense), ...cases.map((item) => layerWork(setting, item)), ...finest.map((item) => routingWork(setting, item))].map(pass),
    options,
  );
  const rows: Row[] = [denseRow(shape, denseTiming)];
  for (const [index, item] of cases.entries()) rows.push(await layerRow(setting, item, timings[index], denseTiming));
  disposeAll(setting.kept);
  const layers = timings.slice(0, cases.length);
  const routing = timings.slice(cases.length);
  return [layerTable(name, scale, shape, rows), summaryTable(name, shape, layers, routing)];
}

const budgetedFlops = ({ tokens, width, denseHidden }: MoeShape): number => 3 * denseFlops({ tokens, width, hidden: denseHidden });

function timingCells(shape: MoeShape, { min, median }: Timing): Row {
  return { minMs: min, medianMs: median, gflops: budgetedFlops(shape) / min / 1e6 };
}

function denseRow(shape: MoeShape, timing: Timing): Row {
  return { split: `1×${shape.denseHidden}`, router: 'none', dispatch: 'dense', ...timingCells(shape, timing), taxMin: 1, taxMedian: 1 };
}

async function layerRow(setting: Setting, item: Case, timing: Timing, dense: Timing): Promise<Row> {
  const tax = ratioOf(timing, dense);
  return {
    split: splitName(item.split), router: item.recipe.label, dispatch: item.recipe.dispatch, ...timingCells(setting.shape, timing),
    taxMin: tax.min, taxMedian: tax.median, ...(await countClaims(setting, item)),
  };
}

const splitName = ({ experts, hidden, capacityFactor }: ExpertSplit): string => `${experts}×${hidden} (γ=${capacityFactor})`;

const SCALE_NOTES: Readonly<Record<Scale, string>> = {
  full: '',
  reduced: ' Reduced sizes, for a slow backend: fewer tokens and a narrower layer than on the fast ones.',
  quick: ' Tiny sizes that only show that it runs: the ratios mean nothing.',
};

function layerTable(backend: string, scale: Scale, { tokens, width, denseHidden }: MoeShape, rows: readonly Row[]): Table {
  return {
    id: `moe-layer ${backend}`,
    title: `MoE layer on ${backend}: sparsity tax`,
    note: `T = ${tokens}, d = ${width}, γ·s = ${denseHidden}; forward and backward with the gradients of the input and all weights. `
      + 'Tax: time / time of the dense layer of equal FLOPs (from the shortest times, and the median over rounds). '
      + `GFLOP/s counts the budgeted FLOPs. Wanted and kept are experts per token.${SCALE_NOTES[scale]}`,
    columns: [
      { key: 'split', label: 'N×s' }, { key: 'router', label: 'router' }, { key: 'dispatch', label: 'dispatch' }, ...TIME_COLUMNS,
      { key: 'taxMin', label: 'tax (min)' }, { key: 'taxMedian', label: 'tax (median)' }, { key: 'gflops', label: 'GFLOP/s' },
      { key: 'wanted', label: 'wanted' }, { key: 'kept', label: 'kept' },
    ],
    rows,
  };
}

/** `layers` by split, then recipe; `routing` by recipe at the finest split. */
function summaryTable(backend: string, { splits }: MoeShape, layers: readonly Timing[], routing: readonly Timing[]): Table {
  const [coarse, fine] = [splits[0], splits[splits.length - 1]];
  const rows = RECIPES.map(({ label, dispatch }, index): Row => {
    const finest = layers[layers.length - RECIPES.length + index];
    const granularity = ratioOf(finest, layers[index]);
    const share = ratioOf(routing[index], finest);
    return {
      router: label, dispatch, granularityMin: granularity.min, granularityMedian: granularity.median,
      routingMs: routing[index].min, shareMin: share.min, shareMedian: share.median,
    };
  });
  return {
    id: `moe-summary ${backend}`,
    title: `MoE layer on ${backend}: granularity penalty and router share`,
    note: `Granularity penalty: time at ${splitName(fine)} / time at ${splitName(coarse)}; the physical floor is 1. `
      + `Router share: time of gate, router, balance loss and plan with their gradients / time of the layer, at N = ${fine.experts}.`,
    columns: [
      { key: 'router', label: 'router' }, { key: 'dispatch', label: 'dispatch' },
      { key: 'granularityMin', label: 'penalty (min)' }, { key: 'granularityMedian', label: 'penalty (median)' },
      { key: 'routingMs', label: 'routing min ms' }, { key: 'shareMin', label: 'share (min)', digits: 3 }, { key: 'shareMedian', label: 'share (median)', digits: 3 },
    ],
    rows,
  };
}
