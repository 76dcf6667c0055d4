// Run directories as a program leaves them, in the states that runs are found in, and a program that reads them. For tests.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { ComparedProgram } from '../../src/compare/compared-program.js';
import { figuresThere, numberAt } from '../../src/experiments/run-files.js';
import { readRunRecord } from '../../src/run-directory.js';
import { QUALITY } from '../experiments/toy-suite.js';

const train = z.object({
  steps: z.int(), seed: z.int(), precision: z.enum(['float32', 'float16']).default('float32'),
  evalEvery: z.int().default(5), checkpointEvery: z.int().default(5), keepCheckpoints: z.int().default(2), routingEvery: z.int().default(1), rate: z.number().default(0.1),
});
const schema = z.object({ moe: z.object({ threshold: z.number() }).nullable().default(null), data: z.object({ files: z.array(z.string()) }).default({ files: [] }), train });

export const toyProgram: ComparedProgram = {
  program: 'toy',
  readRecord: (directory) => readRunRecord(directory, schema, 'toy'),
  identify: async (data) => ({ all: data.split('').toReversed().join(''), test: data.replace(/\d$/, '') }),
  quality: QUALITY,
  columns: [{ key: 'perplexity', title: 'perplexity', meaning: '', digits: 2 }, { key: 'never', title: 'never there', meaning: '', digits: 2 }],
  few: ['perplexity'],
  figures: ({ summary }) => figuresThere({ loss: numberAt(summary, 'loss'), perplexity: Math.exp(numberAt(summary, 'loss') ?? Number.NaN) }),
  scored: ({ tokens }) => (tokens === undefined ? undefined : `${String(tokens)} tokens`),
  flopsPerToken: () => 10,
};

export interface ToyRun {
  seed?: number;
  threshold?: number | null;
  /** Of training, at each step. */
  losses?: readonly (number | 'NaN')[];
  /** Of the test; null as JSON has NaN; undefined where the run is not finished. */
  loss?: number | null;
  steps?: number;
  tokens?: number;
  /** Directory of data, which must exist to say what is in it. */
  data?: string;
  train?: object;
  record?: object;
}

/** Writes the run and returns its directory. */
export function writeRun(directory: string, { seed = 1, threshold = 0.5, losses = [4, 3, 2, 1.5], loss, steps = losses.length, tokens = 100, data = '', train: more = {}, record = {} }: ToyRun): string {
  mkdirSync(directory, { recursive: true });
  const json = (name: string, value: unknown): void => writeFileSync(join(directory, name), JSON.stringify(value));
  json('config.json', { program: 'toy', preset: 'p', backend: 'cpu', data, config: { moe: threshold === null ? null : { threshold }, train: { steps, seed, ...more } }, ...record });
  const rows = losses.flatMap((value, index) => [
    { kind: 'step', step: index + 1, loss: value, learningRate: 1, tokens: 8, tokensPerSecond: 1, seconds: 2, ...(threshold === null ? {} : { expertsPerToken: [threshold * 4], dropRate: [0], budgetedFlops: 40, executedFlops: 40 * threshold }) },
    ...(threshold === null ? [] : [{ kind: 'routing', step: index + 1, load: [[0.75, 0.25, 0, 0]], layers: ['h.1'] }]),
    { kind: 'evaluation', step: index + 1, split: 'validation', loss: value },
  ]);
  writeFileSync(join(directory, 'metrics.jsonl'), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  if (loss !== undefined) json('summary.json', { loss, tokens, steps });
  return directory;
}
