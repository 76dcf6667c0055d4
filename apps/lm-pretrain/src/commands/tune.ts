// tune: the threshold of a trained model for a share of FLOPs, or for a perplexity, found on validation text with nothing dropped. It
// tries thresholds by halves; nothing is trained.
import { XMoEError } from '@xmoe/core';
import { createLanguageModelFromConfig, droplessLanguageConfig, expertsOverDense, routingReader } from '@xmoe/models';
import { alignedFacts, writeWeightsRun, type Terminal } from '@xmoe/program';
import { openWeights } from '@xmoe/models/node';
import { PROGRAM, type Config } from '../config.js';
import { evaluate } from '../evaluate.js';
import { leakFreeBatchSize } from '../finish.js';
import { openRun, readRecord, type TrainedRun } from '../session.js';

interface TuneOptions {
  backend: string;
  checkpoint: string;
  flops?: number;
  perplexity?: string;
  maxWindows?: number | 'all';
  out?: string;
  json?: boolean;
}

/** What one threshold gives on validation text. */
interface Point {
  threshold: number;
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
    let [low, high] = [0, 1];
    for (let step = 0; step < HALVINGS; step++) {
      const middle = (low + high) / 2;
      // Fewer FLOPs below, a lower perplexity above: the goal is met on one side.
      if (fits(await at(middle)) === (goal.kind === 'flops')) low = middle;
      else high = middle;
    }
    const good = tried.filter(fits).toSorted((a, b) => (goal.kind === 'flops' ? b.threshold - a.threshold : a.threshold - b.threshold))[0];
    if (!good) throw new XMoEError('value', `no threshold keeps to ${goal.text}: one expert per token is ${tried.toSorted((a, b) => a.flops - b.flops)[0]!.flops.toFixed(2)} of dense FLOPs`, { hint: 'ask for more' });
    if (options.out !== undefined) await store(terminal, directory, good.threshold, { ...options, out: options.out });
    const points = tried.toSorted((a, b) => a.threshold - b.threshold);
    terminal.output.write(options.json ? `${JSON.stringify({ threshold: good.threshold, points })}\n` : tuneText(points, good, goal.text, options.out));
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

async function scoreAt(run: TrainedRun, threshold: number, { maxWindows }: TuneOptions): Promise<Point> {
  const { config } = run.record;
  const evaluated = droplessLanguageConfig(withThreshold(config, threshold));
  const most = maxWindows ?? config.train.evalWindows;
  const { perplexity, routing } = await evaluate({
    engine: run.device.engine, model: createLanguageModelFromConfig(evaluated, run.tokenizer.vocabularySize), parameters: run.parameters,
    split: (await run.dataset()).split('validation'), tokenizer: run.tokenizer, batchSize: leakFreeBatchSize(config), computeDType: config.train.precision,
    summarizeTrace: routingReader(evaluated, 1), ...(most === 'all' ? {} : { maxWindows: most }),
  });
  const taken = routing.map(({ summary }) => summary.expertsPerToken);
  return { threshold, perplexity, expertsPerToken: taken.reduce((sum, value) => sum + value, 0) / taken.length, flops: expertsOverDense(evaluated, routing)! };
}

function withThreshold(config: Config, threshold: number): Config {
  const { moe } = config;
  return moe?.router.type === 'threshold' ? { ...config, moe: { ...moe, router: { ...moe.router, threshold } } } : config;
}

/** The same weights with the threshold that was found, as a run of their own: a run is what it was trained as. */
async function store(terminal: Terminal, directory: string, threshold: number, { out, backend, checkpoint }: { out: string; backend: string; checkpoint: string }): Promise<void> {
  const weights = await openWeights(directory, { checkpoint, onWarning: (message) => terminal.messages.write(`${message}\n`) });
  const { data, config, preset } = await readRecord(directory);
  const record = { program: PROGRAM, preset, backend, data, config: withThreshold(config, threshold) };
  await writeWeightsRun(out, { record, tensors: await weights.tensors(), tokenizer: weights.tokenizer });
}

function tuneText(points: readonly Point[], good: Point, goal: string, out: string | undefined): string {
  const line = ({ threshold, perplexity, expertsPerToken, flops }: Point): readonly [string, string] => [
    `${threshold === good.threshold ? '→' : ' '} t = ${threshold.toFixed(4)}`, `perplexity ${perplexity.toFixed(3)}, ${expertsPerToken.toFixed(2)} experts per token, ${flops.toFixed(3)}× dense FLOPs`,
  ];
  const stored = out === undefined ? 'Store it with --out DIR.' : `Stored with the weights in ${out}.`;
  return `Within ${goal}, on validation text, nothing dropped:\n${alignedFacts(points.map(line))}\n${stored}\n`;
}
