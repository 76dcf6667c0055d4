// Layers of thousands of experts of a few hidden units beside one of 8 large experts, at equal FLOPs of experts: time, what of it is the gate, the
// choices and the products, and memory. One backend per call; all layers take turns in one run.
import { gate, gateProbabilities } from '@xmoe/routers';
import { disposeAll, eagerPass, normalTensor, scalarLoss, type Device, type Work } from './forward-backward.js';
import { measureInterleaved, type MeasureOptions } from './measure.js';
import { casesOf, DROPLESS, layerWork, routingWork, type Case, type Setting } from './moe-contestants.js';
import type { ExpertSplit } from './shapes.js';
import { TIME_COLUMNS, type Row, type Table } from './table.js';

interface FineShape {
  readonly tokens: number;
  readonly width: number;
  /** The large experts first; γ·s is the same in all. */
  readonly splits: readonly ExpertSplit[];
}

const split = (experts: number, hidden: number, capacityFactor: number): ExpertSplit => ({ experts, hidden, capacityFactor });

const FULL: FineShape = { tokens: 1024, width: 128, splits: [split(8, 512, 1), split(64, 64, 8), split(1024, 4, 128), split(4096, 1, 512)] };
const QUICK: FineShape = { tokens: 32, width: 16, splits: [split(8, 8, 1), split(64, 1, 8)] };

export async function benchFineExperts({ name, engine }: Device, quick: boolean, options: MeasureOptions): Promise<Table[]> {
  const { tokens, width, splits } = quick ? QUICK : FULL;
  const shape = { tokens, width, denseHidden: splits[0]!.hidden * splits[0]!.capacityFactor, splits };
  const [x, dy] = [1, 2].map((seed) => normalTensor(engine, [tokens, width], seed));
  const setting: Setting = { engine, shape, x: x!, dy: dy!, kept: [x!, dy!] };
  const cases = splits.map((each) => casesOf(setting, each, [DROPLESS])[0]!);
  const works = cases.flatMap((item) => [layerWork(setting, item), routingWork(setting, item), gateWork(setting, item)]);
  const passes = works.map((work) => eagerPass('layer', engine, work).contestant);
  const timings = await measureInterleaved(passes, options);
  const rows: Row[] = [];
  for (const [index, { split: { experts, hidden, capacityFactor } }] of cases.entries()) {
    const [layer, routing, gated] = timings.slice(3 * index);
    rows.push({
      split: `${experts}×${hidden}`, k: capacityFactor, minMs: layer!.min, medianMs: layer!.median, ratio: layer!.min / timings[0]!.min, ideal: 1 + experts / (2 * hidden * capacityFactor),
      gateMs: gated!.min, routingMs: routing!.min - gated!.min, expertsMs: layer!.min - routing!.min, megabytes: await peakOf(setting, passes[3 * index]!),
    });
  }
  disposeAll(setting.kept);
  return [table(name, shape, rows)];
}

/** h·W, softmax, and their gradients. */
function gateWork({ engine, shape: { tokens }, x, kept }: Setting, { split: { experts }, parameters }: Case): Work {
  const dp = normalTensor(engine, [tokens, experts], 7);
  kept.push(dp);
  return { parameters: { x, weight: parameters['moe.router.weight']! }, loss: ({ x: input, weight }) => scalarLoss(gateProbabilities(gate(input!, weight!)), dp, null) };
}

/** Megabytes of tensors that a pass needs at its most, beside what is there before. */
async function peakOf({ engine }: Setting, { run }: { run(): Promise<void> }): Promise<number> {
  engine.resetPeakMemory();
  const before = engine.memory().bytes;
  await run();
  return (engine.memory().peakBytes - before) / 1e6;
}

function table(backend: string, { tokens, width, denseHidden }: Setting['shape'], rows: readonly Row[]): Table {
  return {
    id: `fine ${backend}`,
    title: `Experts down to size 1 on ${backend}`,
    note: `T = ${tokens}, d = ${width}, k·s = ${denseHidden}; dropless top-k, forward and backward with the gradients of the input and all weights. The gate is its product and softmax, `
      + 'choices are all else that is not experts (top-k, losses, plan), experts the rest; from shortest times. The gate multiplies N / (2·k·s) as much as the experts do: `floor` is 1 more than that, what the ratio '
      + 'would be if all products ran at the speed of the large ones and nothing else took time.',
    columns: [
      { key: 'split', label: 'N×s' }, { key: 'k', label: 'k', digits: 0 }, ...TIME_COLUMNS, { key: 'ratio', label: '× large' }, { key: 'ideal', label: 'floor' },
      { key: 'gateMs', label: 'gate ms' }, { key: 'routingMs', label: 'choices ms' }, { key: 'expertsMs', label: 'experts ms' }, { key: 'megabytes', label: 'MB', digits: 0 },
    ],
    rows,
  };
}
