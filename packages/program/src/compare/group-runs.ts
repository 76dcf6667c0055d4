// Runs that differ by their seed only become one group, which is known by what sets it apart from the others.
import { jsonObject, type JsonObject } from '@xmoe/files';
import { canonical } from '../experiments/plan-runs.js';
import type { RunChange } from '../report/report-data.js';
import { configChanges } from '../resumable-config.js';
import type { ComparedRun } from './read-runs.js';

export interface RunGroup {
  readonly label: string;
  /** One for each seed. */
  readonly runs: readonly ComparedRun[];
  /** Of a configuration and seed that are among `runs`: they say nothing new. */
  readonly repeated: readonly ComparedRun[];
  readonly config: JsonObject;
}

/** A key in which groups differ, with its value in each, as JSON text; undefined where it is absent. */
export interface DifferingKey {
  readonly key: string;
  readonly values: readonly (string | undefined)[];
}

/** Keys of the section `train` that decide what is written down when, and not what is computed. */
const KEPT_APART = new Set(['seed', 'evalEvery', 'checkpointEvery', 'keepCheckpoints', 'routingEvery']);

/** What decides the result, but for the seed. Where data lie decides nothing: what they hold does. */
function settingsOf({ config }: ComparedRun): JsonObject {
  const { data: _, description: __, train, ...rest } = config;
  return { ...rest, train: Object.fromEntries(Object.entries(train as JsonObject).filter(([key]) => !KEPT_APART.has(key))) };
}

/** For people: weights by the name of their directory, data by the beginning of their fingerprint. */
function namedBeside({ beside: { changes = [] }, beganWith, identity }: ComparedRun): JsonObject {
  return {
    ...(beganWith === undefined ? {} : { initFrom: beganWith }), ...(changes.length > 0 ? { changes: changes.map(changeText).join('; ') } : {}),
    ...(identity.all === undefined ? {} : { dataFingerprint: identity.all.slice(0, 8) }),
  };
}

const changeText = ({ step, changed }: RunChange): string => `from ${step} ${Object.entries(changed).map(([key, [, after]]) => `${key} ${after}`).join(', ')}`;

/** In the order in which they are named. */
export function groupRuns(runs: readonly ComparedRun[]): { groups: RunGroup[]; differing: DifferingKey[] } {
  const byKey = new Map<string, ComparedRun[]>();
  for (const run of runs) {
    const key = canonical([settingsOf(run), jsonObject(run.beside, run.directory), run.identity.all ?? run.config.data ?? null]);
    byKey.set(key, [...(byKey.get(key) ?? []), run]);
  }
  const all = [...byKey.values()];
  const differing = differingKeys(all.map(([first]) => ({ ...settingsOf(first!), ...namedBeside(first!) })));
  const labels = unique(all.map(([first], index) => [labelOf(first!, differing, index), nameOf(first!)] as const));
  const groups = all.map((own, index): RunGroup => {
    // A finished run stands for its seed before one that is not.
    const bySeed = new Map<number, ComparedRun>();
    for (const run of own.toSorted((a, b) => Number(a.without !== undefined) - Number(b.without !== undefined))) if (!bySeed.has(run.seed)) bySeed.set(run.seed, run);
    const kept = new Set(bySeed.values());
    return { label: labels[index]!, runs: own.filter((run) => kept.has(run)), repeated: own.filter((run) => !kept.has(run)), config: own[0]!.config };
  });
  return { groups, differing };
}

function differingKeys(settings: readonly JsonObject[]): DifferingKey[] {
  const [first, ...others] = settings;
  const changes = others.map((other) => configChanges(first, other));
  const keys = [...new Set(changes.flatMap((some) => some.map(({ key }) => key)))].toSorted();
  const before = new Map(changes.flatMap((some) => some.map((change) => [change.key, change.before])));
  const byKey = changes.map((some) => new Map(some.map((change) => [change.key, change.after])));
  return keys.map((key) => ({ key, values: [before.get(key), ...byKey.map((some) => (some.has(key) ? some.get(key) : before.get(key)))] }));
}

/** More keys than these are no name. */
const MOST_KEYS = 3;

/** `threshold=0.5`, or the name of the directory where too much differs, or nothing that the configuration says. */
function labelOf(run: ComparedRun, differing: readonly DifferingKey[], index: number): string {
  const said = differing.filter(({ values }) => values[index] !== undefined);
  if (differing.length === 0 || differing.length > MOST_KEYS || said.length === 0) return nameOf(run);
  return said.map(({ key, values }) => `${key.split('.').at(-1)}=${values[index]!.replaceAll('"', '')}`).join(', ');
}

export const nameOf = ({ directory }: Pick<ComparedRun, 'directory'>): string => directory.replace(/[/\\]+$/, '').split(/[/\\]/).at(-1) || directory;

/** Labels that occur twice take the name of the directory, and a number where that is not enough. */
function unique(labels: readonly (readonly [label: string, name: string])[]): string[] {
  const twice = new Set(labels.map(([label]) => label).filter((label, index, all) => all.indexOf(label) !== index));
  const seen = new Map<string, number>();
  return labels.map(([label, name]) => {
    const own = twice.has(label) && label !== name ? `${label}, ${name}` : label;
    const times = (seen.get(own) ?? 0) + 1;
    seen.set(own, times);
    return times === 1 ? own : `${own} (${times})`;
  });
}
