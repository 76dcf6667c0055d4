// The comparison as plain JSON: groups with their means, errors and paired differences from the first, and each run. Reads and draws nothing.
import { XMoEError } from '@xmoe/core';
import type { FigureColumn, Quality } from '../experiments/experiment.js';
import { differenceText } from '../experiments/judge-claim.js';
import { estimateOf, isNoise, pairedDifference, type Estimate } from '../experiments/statistics.js';
import { checkComparable, namesOf } from './check-comparable.js';
import { groupRuns, type DifferingKey, type RunGroup } from './group-runs.js';
import type { ComparedRun, LayerAtEnd, LossPoint } from './read-runs.js';

export interface ComparedGroup {
  readonly label: string;
  readonly runs: readonly string[];
  /** Of the runs that have a result. */
  readonly seeds: readonly number[];
  readonly quality: Estimate | null;
  /** From the baseline, seed by seed; null for itself and without a seed in common. */
  readonly difference: Estimate | null;
  readonly noise: boolean | null;
  readonly differenceText: string;
  readonly figures: Readonly<Record<string, Estimate>>;
  /** At the end of training, means over runs. */
  readonly routing: readonly LayerAtEnd[];
  readonly training: readonly LossPoint[];
  readonly validation: readonly LossPoint[];
}

export interface Comparison {
  readonly program: string;
  /** What was scored, e.g. `32768 tokens`. */
  readonly scored: string | null;
  readonly quality: Quality;
  readonly columns: readonly FigureColumn[];
  /** Label of the group that differences are from. */
  readonly baseline: string;
  readonly notes: readonly string[];
  readonly groups: readonly ComparedGroup[];
  readonly differing: readonly DifferingKey[];
  readonly runs: readonly { readonly run: string; readonly group: string; readonly seed: number; readonly state: string; readonly figures: Readonly<Record<string, number>> }[];
}

export interface CompareRules {
  readonly program: string;
  readonly quality: Quality;
  readonly columns: readonly FigureColumn[];
  /** A run whose group the differences are from. Default: the first. */
  readonly baseline?: string;
}

/** @throws XMoEError `config` naming runs that are not comparable, and a baseline that is not among them */
export function compareRuns(runs: readonly ComparedRun[], { program, quality, columns, baseline }: CompareRules): Comparison {
  const unknown = checkComparable(runs);
  const { groups, differing } = groupRuns(runs);
  const base = baseline === undefined ? groups[0]! : groups.find((group) => [...group.runs, ...group.repeated].some(({ directory }) => directory === baseline));
  if (!base) throw new XMoEError('config', `the baseline ${baseline} is not one of the runs`, { hint: 'name one of them' });
  const shown = columns.filter(({ key }) => runs.some(({ figures }) => figures[key] !== undefined));
  return {
    program, quality, columns: shown, baseline: base.label, differing,
    scored: runs.find(({ without }) => without === undefined)?.scored ?? null,
    notes: [...notesOn(runs, groups, quality), ...unknown],
    groups: groups.map((group) => measureGroup(group, base, quality, shown)),
    runs: groups.flatMap((group) => [
      ...group.runs.map((run) => ({ run: run.directory, group: group.label, seed: run.seed, state: run.without ?? 'finished', figures: run.figures })),
      ...group.repeated.map((run) => ({ run: run.directory, group: group.label, seed: run.seed, state: 'repeats another run', figures: run.figures })),
    ]),
  };
}

/** Runs that have a result. */
const counted = ({ runs }: RunGroup): ComparedRun[] => runs.filter(({ without }) => without === undefined);

function measureGroup(group: RunGroup, base: RunGroup, quality: Quality, columns: readonly FigureColumn[]): ComparedGroup {
  const own = counted(group);
  const seeds = [...new Set([...own, ...counted(base)].map(({ seed }) => seed))];
  const bySeed = (of: RunGroup): (number | undefined)[] => seeds.map((seed) => counted(of).find((run) => run.seed === seed)?.figures[quality.key]);
  const difference = group === base ? undefined : pairedDifference(bySeed(group), bySeed(base));
  const estimates = columns.flatMap(({ key }) => {
    const estimate = estimateOf(own.flatMap(({ figures }) => figures[key] ?? []));
    return estimate ? [[key, estimate] as const] : [];
  });
  return {
    label: group.label,
    runs: group.runs.map(({ directory }) => directory),
    seeds: own.map(({ seed }) => seed),
    quality: estimateOf(own.flatMap(({ figures }) => figures[quality.key] ?? [])) ?? null,
    difference: difference ?? null,
    noise: difference ? isNoise(difference) : null,
    differenceText: difference ? differenceText(difference, quality) : '',
    figures: Object.fromEntries(estimates),
    routing: meanRouting(group.runs),
    training: meanCurve(group.runs.map(({ training }) => training)),
    validation: meanCurve(group.runs.map(({ validation }) => validation)),
  };
}

/** What a reader must not overlook. */
function notesOn(runs: readonly ComparedRun[], groups: readonly RunGroup[], { title }: Quality): string[] {
  const without = runs.filter((run) => run.without !== undefined);
  const repeated = groups.flatMap((group) => group.repeated);
  const alone = groups.filter((group) => counted(group).length < 3);
  const MOST_SAID = 8;
  return [
    ...without.slice(0, MOST_SAID).map((run) => `${run.directory} has no figures: ${run.without}.`),
    ...(without.length > MOST_SAID ? [`So have ${without.length - MOST_SAID} more.`] : []),
    ...(repeated.length > 0 ? [`Configuration and seed of ${namesOf(repeated)} are those of another run: not counted.`] : []),
    ...(groups.length > 1 && alone.length > 0 ? [`Fewer than three seeds with a result decide nothing: ${alone.length === groups.length ? 'all groups have fewer' : alone.slice(0, 5).map(({ label }) => label).join('; ')}${alone.length < groups.length && alone.length > 5 ? ', …' : ''}.`] : []),
    ...(groups.length > 1 && without.length < runs.length && !shareSeeds(groups) ? [`No two groups have a seed in common: differences of ${title} are not paired, and are not shown.`] : []),
    ...[...new Set(runs.flatMap(({ notes }) => notes))].slice(0, MOST_SAID),
  ];
}

function shareSeeds(groups: readonly RunGroup[]): boolean {
  const all = groups.flatMap((group) => counted(group).map(({ seed }) => seed));
  return new Set(all).size < all.length;
}

/** By layer, over the runs that have it. */
function meanRouting(runs: readonly ComparedRun[]): LayerAtEnd[] {
  const layers = [...new Set(runs.flatMap(({ routing }) => routing.map(({ layer }) => layer)))];
  return layers.map((layer) => {
    const all = runs.flatMap(({ routing }) => routing.filter((one) => one.layer === layer));
    const mean = (key: 'expertsPerToken' | 'dropped' | 'busiest' | 'idle') => {
      const estimate = estimateOf(all.flatMap((one) => one[key] ?? []));
      return estimate ? { [key]: estimate.mean } : {};
    };
    return { layer, ...mean('expertsPerToken'), ...mean('dropped'), ...mean('busiest'), ...mean('idle') };
  });
}

/** The mean of curves at the steps of the longest; each counts as far as it goes. */
export function meanCurve(curves: readonly (readonly LossPoint[])[]): LossPoint[] {
  const longest = curves.reduce((best, curve) => ((curve.at(-1)?.step ?? -1) > (best.at(-1)?.step ?? -1) ? curve : best), [] as readonly LossPoint[]);
  return longest.map(({ step }) => {
    const there = curves.flatMap((curve) => pointAt(curve, step) ?? []);
    const mean = (key: 'loss' | 'flops' | 'seconds'): number => there.reduce((sum, point) => sum + point[key], 0) / there.length;
    return { step, loss: mean('loss'), flops: mean('flops'), seconds: mean('seconds') };
  });
}

/** Between two points on the line through them; undefined outside of the curve. */
function pointAt(curve: readonly LossPoint[], step: number): LossPoint | undefined {
  const after = curve.findIndex((point) => point.step >= step);
  if (after < 0) return undefined;
  const [right, left] = [curve[after]!, curve[after - 1]];
  if (right.step === step) return right;
  if (!left) return undefined;
  const share = (step - left.step) / (right.step - left.step);
  const between = (key: 'loss' | 'flops' | 'seconds'): number => left[key] + share * (right[key] - left[key]);
  return { step, loss: between('loss'), flops: between('flops'), seconds: between('seconds') };
}
