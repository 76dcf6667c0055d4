// From experiments to the distinct runs that they need: arms with the same configuration and seed are one run, whichever tables want it.
import { createHash } from 'node:crypto';
import { isPlainObject, type JsonObject, type JsonValue } from '@xmoe/files';
import type { Arm, Experiment, Point, Row } from './experiment.js';

export interface PlannedRun {
  /** Names its directory: the arm's name, the seed and the hash of its configuration. */
  readonly key: string;
  readonly seed: number;
  /** With the seed. */
  readonly config: JsonObject;
  /** The run whose weights it begins with, which is before it in the plan. */
  readonly from?: string;
  /** All that some table wants, each once. */
  readonly points: readonly Point[];
  /** Names of the experiments that want it. */
  readonly wantedBy: readonly string[];
}

/** The same for equal values, whatever the order of their keys. */
export function canonical(value: JsonValue): string {
  if (!isPlainObject(value)) return Array.isArray(value) ? `[${value.map(canonical).join(',')}]` : JSON.stringify(value);
  const entries = Object.entries(value as JsonObject).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonical(item)}`).join(',')}}`;
}

/** The configuration of an arm with a seed. A description says nothing of what is computed. */
function configOf({ config }: Arm, seed: number): JsonObject {
  const { description: _, ...rest } = config;
  return { ...rest, train: { ...(rest.train as JsonObject), seed } };
}

/** The directory of an arm's run with this seed. */
export function runKey(arm: Arm, seed: number): string {
  const source = arm.from ? `${runKey(arm.from, seed)} ` : '';
  return `${arm.name}-seed${seed}-${createHash('sha256').update(source + canonical(configOf(arm, seed))).digest('hex').slice(0, 10)}`;
}

/** All rows of an experiment. */
const rowsOf = ({ groups, claims }: Experiment): Row[] => [
  ...groups.flatMap(({ rows, baseline }) => [...rows, ...(baseline ? [baseline] : [])]),
  ...claims.flatMap(({ row, than }) => [row, than]),
];

/**
 * The distinct runs, in the order in which they are to be made: the first group of every experiment before the second of any, and in a group
 * all arms of one seed before the next, so that what is there after a while is comparable. Claims may want rows beside those of the tables.
 */
export function planRuns(experiments: readonly Experiment[], seeds: readonly number[], { scoredByTraining = false }: { readonly scoredByTraining?: boolean } = {}): PlannedRun[] {
  const runs = new Map<string, { seed: number; config: JsonObject; from?: string; points: Map<string, Point>; wantedBy: Set<string> }>();
  const runOf = (arm: Arm, seed: number, name: string): { key: string; points: Map<string, Point> } => {
    const source = arm.from && runOf(arm.from, seed, name).key; // before it
    const key = runKey(arm, seed);
    const run = runs.get(key) ?? { seed, config: configOf(arm, seed), ...(source ? { from: source } : {}), points: new Map<string, Point>(), wantedBy: new Set<string>() };
    run.wantedBy.add(name);
    runs.set(key, run);
    return { key, points: run.points };
  };
  const add = ({ name }: Experiment, { arm, point }: Row, seed: number): void => {
    const { points } = runOf(arm, seed, name);
    if (!scoredByTraining) points.set(canonical(point), point);
  };
  const most = Math.max(0, ...experiments.map(({ groups }) => groups.length));
  for (let level = 0; level <= most; level++) {
    for (const experiment of experiments) {
      const rows = level === most ? rowsOf(experiment) : (experiment.groups[level]?.rows ?? []);
      for (const seed of seeds) rows.forEach((row) => add(experiment, row, seed));
    }
  }
  return [...runs].map(([key, { points, wantedBy, ...run }]) => ({ ...run, key, points: [...points.values()], wantedBy: [...wantedBy] }));
}
