// sweep: runs evaluated at a grid of rules and capacities, any model by any rule; one table, and a chart of perplexity against what the
// experts executed.
import { XMoEError } from '@xmoe/core';
import { parseJson, type JsonValue } from '@xmoe/files';
import { replaceFile } from '@xmoe/files/node';
import { parseConfig } from '@xmoe/train';
import { readConfigText } from '@xmoe/train/node';
import type { SplitName } from '@xmoe/text';
import { progressLine, type Terminal } from '@xmoe/program';
import { z } from 'zod';
import { configAt, evaluateAt, evaluationPointSchema, figuresOf, leaks, pointText, type EvaluationPoint, type PointFigures } from '../evaluation-points.js';
import { openRun, type TrainedRun } from '../session.js';
import { sweepPage, sweepTable } from '../sweep-text.js';

export interface SweepOptions {
  backend: string;
  checkpoint: string;
  split: SplitName;
  threshold?: number[];
  topK?: number[];
  capacityFactor?: number[];
  points?: string;
  maxWindows?: number | 'all';
  html?: string;
}

export interface SweptPoint {
  run: string;
  point: EvaluationPoint;
  /** In a few words. */
  how: string;
  /** Whether later tokens can change what earlier ones are given: then the score is no likelihood. */
  leaks: boolean;
  figures: PointFigures;
}

export async function sweepCommand(terminal: Terminal, runs: readonly string[], options: SweepOptions): Promise<void> {
  const listed = options.points === undefined ? undefined : await readPoints(options.points);
  const evaluations: SweptPoint[] = [];
  for (const directory of runs) {
    const run = await openRun(directory, { ...options, onWarning: (message) => terminal.messages.write(`${message}\n`) });
    try {
      const { config } = run.record;
      const points = parseConfig(pointsSchema, listed ?? gridOf(options), { where: options.points ?? 'the grid' });
      for (const point of points) configAt(config, point); // all of them, before the first takes time
      const line = progressLine(terminal.messages, `Evaluating ${directory} at ${points.length} ${points.length === 1 ? 'point' : 'points'}`);
      for (const [index, point] of points.entries()) {
        evaluations.push(await sweptPoint(run, directory, point, options));
        line.update((index + 1) / points.length);
      }
      line.done();
    } finally {
      run.close();
    }
  }
  if (options.html !== undefined) await replaceFile(options.html, await sweepPage(evaluations, options.split));
  terminal.result({ split: options.split, evaluations }, sweepTable(evaluations));
}

async function sweptPoint(run: TrainedRun, directory: string, point: EvaluationPoint, { split, maxWindows }: SweepOptions): Promise<SweptPoint> {
  const { train } = run.record.config;
  const scoredInTraining = { train: null, validation: train.evalWindows, test: train.testWindows }[split];
  const { config, result } = await evaluateAt(run, point, split, maxWindows === undefined ? scoredInTraining : maxWindows === 'all' ? null : maxWindows);
  return { run: directory, point, how: pointText(run.record.config, point), leaks: leaks(config), figures: figuresOf(config, result) };
}

/** Each rule with nothing dropped, or at each γ with the dispatch of training. */
function gridOf({ threshold = [], topK = [], capacityFactor = [] }: SweepOptions): EvaluationPoint[] {
  const rules: EvaluationPoint[] = [...threshold.map((value) => ({ threshold: value })), ...topK.map((value) => ({ topK: value }))];
  const capacities: EvaluationPoint[] = capacityFactor.length === 0 ? [{}] : capacityFactor.map((value) => ({ dispatch: 'trained' as const, capacityFactor: value }));
  return (rules.length === 0 ? [{}] : rules).flatMap((rule) => capacities.map((capacity) => ({ ...rule, ...capacity })));
}

const pointsSchema = z.array(evaluationPointSchema).min(1);

async function readPoints(path: string): Promise<JsonValue> {
  const text = await readConfigText(path).catch((cause: unknown) => {
    if (cause instanceof XMoEError) throw cause;
    throw new XMoEError('config', `cannot read the points in ${path}: ${(cause as Error).message}`, { hint: 'name a JSON file with a list of points', cause });
  });
  return parseJson(text, { where: path });
}
