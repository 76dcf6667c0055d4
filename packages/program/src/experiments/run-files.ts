// What a folder of experiments holds, and which of its runs are finished. Reads and names files; trains nothing.
import { existsSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isPlainObject, parseJson, type JsonObject } from '@xmoe/files';
import { replaceFile } from '@xmoe/files/node';
import type { MetricsRow } from '@xmoe/train';
import { readMetrics } from '@xmoe/train/node';
import { RUN_FILES } from '../run-directory.js';
import { canonical } from './plan-runs.js';
import type { Figures, Point } from './experiment.js';

/** Names in a folder of experiments. */
export const EXPERIMENT_FILES = { runs: 'runs', measurements: 'measurements', report: 'report.html', json: 'report.json', results: 'results.jsonl', plan: 'plan.json' } as const;

const POINTS = 'points.json';
const FAILURE = 'failed.json';

export const runDirectory = (folder: string, key: string): string => join(folder, EXPERIMENT_FILES.runs, key);

/** Whether it was begun: then it is resumed. */
export const isBegun = (directory: string): boolean => existsSync(join(directory, RUN_FILES.config));

/** Whether it is trained and evaluated. */
export const isTrained = (directory: string): boolean => existsSync(join(directory, RUN_FILES.summary));

/** Why a run has no result, e.g. because it diverged; undefined where none is written down. It is not begun again. */
export function failureOf(directory: string): string | undefined {
  const failure = readObject(join(directory, FAILURE));
  return failure === undefined ? undefined : String(failure.why);
}

export async function writeFailure(directory: string, why: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  await replaceFile(join(directory, FAILURE), `${JSON.stringify({ why })}\n`);
}

/** Figures of the evaluations of a run, by the point's canonical text. */
export function readPoints(directory: string): Record<string, Figures> {
  return (readObject(join(directory, POINTS)) ?? {}) as Record<string, Figures>;
}

export async function addPoints(directory: string, measured: readonly { point: Point; figures: Figures }[]): Promise<void> {
  const all = { ...readPoints(directory), ...Object.fromEntries(measured.map(({ point, figures }) => [canonical(point), figures])) };
  await replaceFile(join(directory, POINTS), `${JSON.stringify(all, null, 1)}\n`);
}

/** The points that a run has not been evaluated at yet. */
export function missingPoints(directory: string, wanted: readonly Point[]): Point[] {
  const there = readPoints(directory);
  return wanted.filter((point) => !Object.hasOwn(there, canonical(point)));
}

/** What a run has written down of itself. */
export interface RecordedRun {
  /** summary.json; empty where there is none. */
  readonly summary: JsonObject;
  /** metrics.jsonl; empty where there is none. */
  readonly rows: readonly MetricsRow[];
}

/** @throws XMoEError `data` naming the line of metrics that is none */
export function readRecorded(directory: string): RecordedRun {
  const metrics = join(directory, RUN_FILES.metrics);
  return { summary: readObject(join(directory, RUN_FILES.summary)) ?? {}, rows: existsSync(metrics) ? readMetrics(metrics) : [] };
}

/** The number at a key of a summary; undefined for what is no number, such as null, which stands there for NaN. */
export function numberAt(object: JsonObject, key: string): number | undefined {
  const value = object[key];
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}

/** The figures that are there: JSON has no NaN, so that a diverged run has none. */
export function figuresThere(values: Readonly<Record<string, number | undefined>>): Figures {
  return Object.fromEntries(Object.entries(values).filter((entry): entry is [string, number] => entry[1] !== undefined && Number.isFinite(entry[1])));
}

/** The object in a JSON file; undefined where there is none, or a torn one that is made again. */
export function readObject(path: string): JsonObject | undefined {
  try {
    const value = parseJson(readFileSync(path, 'utf8'), { where: path });
    return isPlainObject(value) ? (value as JsonObject) : undefined;
  } catch {
    return undefined;
  }
}
