// The figures of finished runs as JSON lines, results.jsonl: what a plan needs to know of a run that was made in another folder or on another machine. No weights.
import { existsSync, readFileSync } from 'node:fs';
import { XMoEError } from '@xmoe/core';
import { parseJson } from '@xmoe/files';
import { replaceFile } from '@xmoe/files/node';
import { parseConfig } from '@xmoe/train';
import { z } from 'zod';
import { canonical, type PlannedRun } from './plan-runs.js';

const figures = z.record(z.string(), z.number());

const resultsSchema = z.strictObject({
  key: z.string().min(1),
  /** Of the training, as `ExperimentSuite.trainingFigures` reads them off a run directory. */
  training: figures,
  /** Of the evaluations, by the point's canonical text. */
  points: z.record(z.string(), figures),
  /** Where it has no result: why. */
  failure: z.string().optional(),
});

/** What one run has measured, or why it has no result. */
export type RunResults = z.infer<typeof resultsSchema>;

export type ResultsByKey = ReadonlyMap<string, RunResults>;

/** Whether they are all that a plan wants of a run. */
export const cover = (results: RunResults | undefined, { points }: PlannedRun): boolean =>
  results !== undefined && (results.failure !== undefined || points.every((point) => Object.hasOwn(results.points, canonical(point))));

/**
 * All results of the files; where several know a run, those of the first.
 * @throws XMoEError `io` for a file that cannot be read, `data` naming the line that is none of results
 */
export function readResults(paths: readonly string[]): ResultsByKey {
  const all = new Map<string, RunResults>();
  for (const path of paths) {
    for (const one of linesOf(path)) if (!all.has(one.key)) all.set(one.key, one);
  }
  return all;
}

function linesOf(path: string): RunResults[] {
  return textOf(path).split('\n').flatMap((line, index) => {
    if (line.trim() === '') return [];
    const where = `${path} line ${index + 1}`;
    try {
      return [parseConfig(resultsSchema, parseJson(line, { where, code: 'data' }), { where })];
    } catch (cause) {
      throw new XMoEError('data', (cause as Error).message, { cause, hint: HINT });
    }
  });
}

const HINT = 'name a results.jsonl that reproduce has written';

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new XMoEError('io', `the results in ${path} cannot be read: ${(cause as Error).message}`, { cause, hint: HINT });
  }
}

/** Adds results to a file, in the place of what it has of the same runs; it is replaced as a whole. */
export async function addResults(path: string, found: readonly RunResults[]): Promise<void> {
  const all = new Map([...(existsSync(path) ? readResults([path]) : []), ...found.map((one) => [one.key, one] as const)]);
  if (all.size > 0) await replaceFile(path, [...all.values()].map((one) => `${JSON.stringify(one)}\n`).join(''));
}
