// One run as `compare` takes it: its figures if it is finished, its losses over steps, FLOPs and seconds, its routing. Large logs become a few
// hundred points here, so that many runs fit into memory. Judges nothing.
import { existsSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { XMoEError } from '@xmoe/core';
import { isPlainObject, jsonObject, type JsonObject } from '@xmoe/files';
import type { RoutingRow, StepRow } from '@xmoe/train';
import { EXPERIMENT_FILES, failureOf, isTrained, numberAt, readObject, readRecorded, type RecordedRun } from '../experiments/run-files.js';
import type { Figures } from '../experiments/experiment.js';
import { fillFlops, type RunChange } from '../report/report-data.js';
import { layerNames, smoothedPoints } from '../report/series.js';
import { RUN_FILES, type RunRecord } from '../run-directory.js';
import type { TaskConfig } from '../task.js';
import type { ComparedProgram, DataIdentity } from './compared-program.js';

/** What has been spent up to a step. */
export interface Spent {
  readonly step: number;
  /** Of the whole model, forward and backward, as executed. */
  readonly flops: number;
  readonly seconds: number;
}

export interface LossPoint extends Spent {
  readonly loss: number;
}

/** A layer at the end of training. */
export interface LayerAtEnd {
  readonly layer: string;
  readonly expertsPerToken?: number;
  /** Share of the claims. */
  readonly dropped?: number;
  /** Claims of the busiest expert over the mean. */
  readonly busiest?: number;
  /** Experts without a claim. */
  readonly idle?: number;
}

export interface ComparedRun {
  /** As it was named. */
  readonly directory: string;
  readonly config: JsonObject;
  readonly seed: number;
  /** What else decides what it computed: weights that it began with, and what was changed on the way. */
  readonly beside: { readonly initial?: string; readonly changes?: readonly RunChange[] };
  /** Name of the directory of those weights. */
  readonly beganWith: string | undefined;
  /** Directory of its prepared data. */
  readonly data: string;
  readonly identity: Partial<DataIdentity>;
  readonly scored: string | undefined;
  readonly steps: { readonly done: number; readonly asked: number };
  /** Why its figures do not count; undefined of a finished run. */
  readonly without: string | undefined;
  readonly figures: Figures;
  /** Training loss, smoothed. */
  readonly training: readonly LossPoint[];
  readonly validation: readonly LossPoint[];
  readonly routing: readonly LayerAtEnd[];
  /** What could not be read. */
  readonly notes: readonly string[];
}

/** The run directories that a path stands for: itself, or those in a folder of experiments. */
export function directoriesAt(path: string): string[] {
  if (existsSync(join(path, RUN_FILES.config)) || !existsSync(join(path, EXPERIMENT_FILES.plan))) return [path];
  const folder = join(path, EXPERIMENT_FILES.runs);
  const names = existsSync(folder) ? readdirSync(folder).toSorted() : [];
  return names.map((name) => join(folder, name)).filter((directory) => existsSync(join(directory, RUN_FILES.config)));
}

/** @throws XMoEError `config` naming what is no run of the program, or holds weights and no training */
export async function readComparedRun(program: ComparedProgram, directory: string, identify: (data: string) => Promise<DataIdentity | undefined>): Promise<ComparedRun> {
  const record = await program.readRecord(directory);
  if (record.trained === false) throw new XMoEError('config', `${directory} holds weights, and no training to compare`, { hint: 'eval and sweep score it; compare runs that were trained' });
  const config = jsonObject(record.config, directory);
  const { recorded, notes } = readLeniently(directory);
  const steps = fillFlops(recorded.rows.filter((row): row is StepRow => row.kind === 'step'));
  const spent = spentBy(steps, program.flopsPerToken(config));
  const at = (points: readonly { step: number; value: number }[]): LossPoint[] => points.flatMap(({ step, value }) => {
    const before = spent.get(step);
    return before && Number.isFinite(value) ? [{ ...before, loss: value }] : [];
  });
  const done = steps.at(-1)?.step ?? numberAt(recorded.summary, 'steps') ?? 0;
  const finished = isTrained(directory) && done <= (numberAt(recorded.summary, 'steps') ?? Infinity);
  const figures = finished ? withFlops(program.figures(recorded, config), spent.get(done)) : {};
  return {
    directory, config, notes, figures,
    seed: record.config.train.seed,
    beside: { ...(record.initial ? { initial: record.initial.fingerprint } : {}), ...(record.changes ? { changes: record.changes } : {}) },
    beganWith: record.initial && basename(record.initial.source),
    data: record.data,
    identity: (await identify(record.data)) ?? identityOfCheckpoints(directory),
    scored: program.scored(recorded.summary),
    steps: { done, asked: record.config.train.steps },
    without: withoutFigures(directory, record, { finished, done, counts: figures[program.quality.key] !== undefined }),
    training: at(smoothedPoints(steps, '', (row) => row.loss)),
    validation: at(recorded.rows.flatMap((row) => (row.kind === 'evaluation' && row.split === 'validation' ? [{ step: row.step, value: row.loss }] : []))),
    routing: routingAtEnd(steps, recorded.rows.filter((row): row is RoutingRow => row.kind === 'routing')),
  };
}

/** A run with a torn log has figures all the same. */
function readLeniently(directory: string): { recorded: RecordedRun; notes: string[] } {
  const summaryAlone = (): RecordedRun => ({ summary: readObject(join(directory, RUN_FILES.summary)) ?? {}, rows: [] });
  try {
    const recorded = readRecorded(directory);
    return { recorded, notes: recorded.rows.length === 0 ? [`${directory} has no ${RUN_FILES.metrics}: no losses and no routing of it are shown`] : [] };
  } catch (error) {
    return { recorded: summaryAlone(), notes: [`no losses and no routing are shown of a run whose log is damaged: ${(error as Error).message}`] };
  }
}

/** Running totals by step. Experts count as they were executed, everything else as it is. */
function spentBy(steps: readonly StepRow[], flopsPerToken: number): Map<number, Spent> {
  let [flops, seconds] = [0, 0];
  return new Map(steps.map((row) => {
    flops += flopsPerToken * row.tokens + (row.executedFlops ?? 0) - (row.budgetedFlops ?? 0);
    seconds += Number.isFinite(row.seconds) ? row.seconds : 0;
    return [row.step, { step: row.step, flops, seconds }];
  }));
}

const withFlops = (figures: Figures, spent: Spent | undefined): Figures => (spent ? { ...figures, [FLOPS_COLUMN.key]: spent.flops } : figures);

/** A column of every program. */
export const FLOPS_COLUMN = {
  key: 'modelFlops', title: 'model FLOPs', meaning: 'Of the whole model in all steps, forward and backward: attention and dense layers at their sizes, experts as they were executed.', digits: 2, compact: true,
} as const;

function withoutFigures(directory: string, { config }: RunRecord<TaskConfig>, { finished, done, counts }: { finished: boolean; done: number; counts: boolean }): string | undefined {
  const failure = failureOf(directory);
  if (failure !== undefined) return `no result: ${failure}`;
  if (!finished) return `not finished: step ${done} of ${config.train.steps}`;
  return counts ? undefined : 'no test score that is a number';
}

/** What the newest checkpoint says of the data where they are gone. */
function identityOfCheckpoints(directory: string): Partial<DataIdentity> {
  const folder = join(directory, RUN_FILES.checkpoints);
  const names = existsSync(folder) ? readdirSync(folder).filter((name) => name.startsWith('step-')).toSorted() : [];
  const { state } = readObject(join(folder, names.at(-1) ?? '', 'state.json')) ?? {};
  const saved = isPlainObject(state) ? (state as JsonObject).saved : undefined;
  const all = isPlainObject(saved) ? (saved as JsonObject).dataFingerprint : undefined;
  return typeof all === 'string' ? { all } : {};
}

function routingAtEnd(steps: readonly StepRow[], routing: readonly RoutingRow[]): LayerAtEnd[] {
  const last = steps.findLast((row) => row.expertsPerToken !== undefined);
  const load = routing.at(-1)?.load;
  return layerNames(last ? [last] : [], routing).map((layer, index) => {
    const shares = load?.[index];
    const [experts, dropped] = [last?.expertsPerToken?.[index], last?.dropRate?.[index]];
    return {
      layer,
      ...(experts === undefined ? {} : { expertsPerToken: experts }), ...(dropped === undefined ? {} : { dropped }),
      ...(shares && shares.length > 0 ? { busiest: shares.length * Math.max(...shares), idle: shares.filter((share) => share === 0).length } : {}),
    };
  });
}
