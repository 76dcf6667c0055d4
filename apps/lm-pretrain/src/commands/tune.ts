// tune: the threshold of a trained model for a share of FLOPs, or for a perplexity, found on validation text with nothing dropped. It
// tries thresholds by halves; nothing is trained.
import { XMoEError } from '@xmoe/core';
import { createLanguageModelFromConfig, droplessLanguageConfig, expertsOverDense, routingReader } from '@xmoe/models';
import { alignedFacts, writeWeightsRun, type Terminal } from '@xmoe/program';
import { openWeights } from '@xmoe/models/node';
import { PROGRAM, type Config } from '../config.js';
import { evaluate } from '../evaluate.js';
import { leakFreeBatchSize } from '../finish.js';
import { searchByHalves } from '../search-by-halves.js';
import { openRun, readRecord, type TrainedRun } from '../session.js';
import { chooseOptions, thresholdsAround, type LayerOption } from '../thresholds-by-layer.js';

interface TuneOptions {
  backend: string;
  checkpoint: string;
  flops?: number;
  perplexity?: string;
  maxWindows?: number | 'all';
  byLayer?: boolean;
  out?: string;
}

/** What one threshold gives on validation text, or one for each layer. */
interface Point {
  threshold: number;
  /** By layer, where they differ; `threshold` is the first. */
  thresholds?: number[];
  perplexity: number;
  expertsPerToken: number;
  /** What experts multiply, over the dense layers in their place. */
  flops: number;
}

/** Halvings of 0 … 1: thresholds to 1/128. */
const HALVINGS = 7;

export async function tuneCommand(terminal: Terminal, directory: string, options: TuneOptions): Promise<void> {
  const goal = readGoal(options);
  const run = await openRun(directory, { ...options, onWarning: (message) => terminal.messages.write(`${message}\n`) });
  try {
    const { config } = run.record;
    if (config.moe?.router.type !== 'threshold') throw new XMoEError('config', `${directory} has no router with a threshold`, { hint: 'tune a run of the threshold router' });
    const tried: Point[] = [];
    const at = async (threshold: number): Promise<Point> => {
      const point = await scoreAt(run, threshold, options);
      tried.push(point);
      return point;
    };
    const all = await at(1);
    const fits = (point: Point): boolean => (goal.kind === 'flops' ? point.flops <= goal.value : point.perplexity <= all.perplexity * (1 + goal.value));
    // Fewer FLOPs below, a lower perplexity above: the goal is met on one side.
    await searchByHalves(HALVINGS, async (threshold) => fits(await at(threshold)) === (goal.kind === 'flops'));
    const good = tried.filter(fits).toSorted((a, b) => (goal.kind === 'flops' ? b.threshold - a.threshold : a.threshold - b.threshold))[0];
    if (!good) throw new XMoEError('value', `no threshold keeps to ${goal.text}: one expert per token is ${tried.toSorted((a, b) => a.flops - b.flops)[0]!.flops.toFixed(2)} of dense FLOPs`, { hint: 'ask for more' });
    const points = tried.toSorted((a, b) => a.threshold - b.threshold);
    const layered = options.byLayer ? await layeredPoint(run, good, { goal, all, options }) : undefined;
    // One for all unless those by layer keep to the goal too, and are better.
    const better = layered && fits(layered) && (goal.kind === 'flops' ? layered.perplexity < good.perplexity : layered.flops < good.flops);
    const found = better ? layered : good;
    if (options.out !== undefined) await store(terminal, directory, found, { ...options, out: options.out });
    const result = { threshold: found.threshold, ...(found.thresholds ? { thresholds: found.thresholds } : {}), points, ...(layered ? { byLayer: layered } : {}) };
    terminal.result(result, tuneText(points, { good, layered, better: better === true, goal: goal.text, out: options.out }));
  } finally {
    run.close();
  }
}

type Goal = { kind: 'flops' | 'perplexity'; value: number; text: string };

function readGoal({ flops, perplexity }: TuneOptions): Goal {
  if ((flops === undefined) === (perplexity === undefined)) throw new XMoEError('config', 'one goal is needed', { hint: 'pass --flops 0.5, a share of dense layers, or --perplexity +1%' });
  if (flops !== undefined) {
    if (flops > 0) return { kind: 'flops', value: flops, text: `${flops} of dense FLOPs` };
    throw new XMoEError('value', `--flops is ${flops}`, { hint: 'pass a share above 0, e.g. 0.5' });
  }
  const percent = /^\+?(\d+(?:\.\d+)?)%$/.exec(perplexity!)?.[1];
  if (percent === undefined) throw new XMoEError('value', `--perplexity is ${JSON.stringify(perplexity)}`, { hint: 'pass how much it may rise above that of all experts, e.g. +1%' });
  return { kind: 'perplexity', value: Number(percent) / 100, text: `${percent} % above the perplexity of all experts` };
}

/** A threshold for each layer, from what each alone does around the common one. */
async function layeredPoint(run: TrainedRun, common: Point, { goal, all, options }: { goal: Goal; all: Point; options: TuneOptions }): Promise<Point> {
  const { model, moe } = run.record.config;
  const layers = Math.floor(model.layers / moe!.every);
  if (layers < 2) throw new XMoEError('config', `the run has one layer with experts: there is nothing to set apart`, { hint: 'leave --by-layer out' });
  const uniform = Array.from({ length: layers }, () => common.threshold);
  const choices: LayerOption[][] = [];
  for (let layer = 0; layer < layers; layer++) {
    const tried: LayerOption[] = [{ threshold: common.threshold, loss: 0, flops: 0 }];
    for (const threshold of thresholdsAround(common.threshold)) {
      const { perplexity, flops } = await scoreAt(run, uniform.with(layer, threshold), options);
      tried.push({ threshold, loss: Math.log(perplexity / common.perplexity), flops: flops - common.flops });
    }
    choices.push(tried);
  }
  const slack = goal.kind === 'flops' ? { of: 'flops' as const, most: goal.value - common.flops } : { of: 'loss' as const, most: Math.log((all.perplexity * (1 + goal.value)) / common.perplexity) };
  const chosen = chooseOptions(choices, slack);
  return scoreAt(run, chosen.map(({ threshold }) => threshold), options);
}

async function scoreAt(run: TrainedRun, threshold: number | number[], { maxWindows }: TuneOptions): Promise<Point> {
  const { config } = run.record;
  const evaluated = droplessLanguageConfig(withThreshold(config, threshold));
  const most = maxWindows ?? config.train.evalWindows;
  const { perplexity, routing } = await evaluate({
    engine: run.device.engine, model: createLanguageModelFromConfig(evaluated, run.tokenizer.vocabularySize), parameters: run.parameters,
    split: (await run.dataset()).split('validation'), tokenizer: run.tokenizer, batchSize: leakFreeBatchSize(config), computeDType: config.train.precision,
    summarizeTrace: routingReader(evaluated, 1), ...(most === 'all' ? {} : { maxWindows: most }),
  });
  const taken = routing.map(({ summary }) => summary.expertsPerToken);
  const chosen = typeof threshold === 'number' ? { threshold } : { threshold: threshold[0]!, thresholds: threshold };
  return { ...chosen, perplexity, expertsPerToken: taken.reduce((sum, value) => sum + value, 0) / taken.length, flops: expertsOverDense(evaluated, routing)! };
}

/** With a threshold for all layers, or one for each. */
function withThreshold(config: Config, threshold: number | number[]): Config {
  const { moe } = config;
  if (moe?.router.type !== 'threshold') return config;
  const { thresholds: _, ...rest } = moe;
  return { ...config, moe: typeof threshold === 'number'
    ? { ...rest, router: { ...moe.router, threshold } }
    : { ...rest, router: { ...moe.router, threshold: threshold[0]! }, thresholds: threshold } };
}

/** The same weights with the threshold that was found, as a run of their own: a run is what it was trained as. */
async function store(terminal: Terminal, directory: string, { threshold, thresholds }: Point, { out, backend, checkpoint }: { out: string; backend: string; checkpoint: string }): Promise<void> {
  const weights = await openWeights(directory, { checkpoint, onWarning: (message) => terminal.messages.write(`${message}\n`) });
  const { data, config, preset } = await readRecord(directory);
  const record = { program: PROGRAM, preset, backend, data, config: withThreshold(config, thresholds ?? threshold) };
  await writeWeightsRun(out, { record, tensors: await weights.tensors(), tokenizer: weights.tokenizer });
}

interface Found {
  readonly good: Point;
  readonly layered: Point | undefined;
  /** Those by layer are what was found. */
  readonly better: boolean;
  readonly goal: string;
  readonly out: string | undefined;
}

function tuneText(points: readonly Point[], { good, layered, better, goal, out }: Found): string {
  const found = better ? layered : good;
  const line = (point: Point): readonly [string, string] => [
    `${point === found ? '→' : ' '} t = ${point.thresholds?.join(', ') ?? point.threshold.toFixed(4)}`, figures(point),
  ];
  const figures = ({ perplexity, expertsPerToken, flops }: Point): string => `perplexity ${perplexity.toFixed(3)}, ${expertsPerToken.toFixed(2)} experts per token, ${flops.toFixed(3)}× dense FLOPs`;
  const byLayer = layered ? `By layer${better ? '' : ', no better than one for all'}:\n${alignedFacts([line(layered)])}\n` : '';
  const stored = out === undefined ? 'Store it with --out DIR.' : `Stored with the weights in ${out}.`;
  return `Within ${goal}, on validation text, nothing dropped:\n${alignedFacts(points.map(line))}\n${byLayer}${stored}\n`;
}
