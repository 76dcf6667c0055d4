// The tables of an experiment as plain JSON: what was published beside what was measured, differences and their noise, judgements of
// claims, and what is missing. Drawing is render-experiments.ts.
import type { JsonObject } from '@xmoe/files';
import { differenceText, judgeClaim, qualitiesOf, type Judgement } from './judge-claim.js';
import { isNoise, estimateOf, pairedDifference, type Estimate } from './statistics.js';
import type { Experiment, FigureColumn, Quality, Results, Row, RowGroup } from './experiment.js';

export interface MeasuredRow {
  readonly label: string;
  /** Runs that are finished and evaluated, of all seeds. */
  readonly seeds: number;
  readonly published: Readonly<Record<string, number>>;
  readonly quality: Estimate | null;
  /** From the group's baseline; null for itself, and where either is missing. */
  readonly difference: Estimate | null;
  readonly noise: boolean | null;
  readonly differenceText: string;
  readonly figures: Readonly<Record<string, Estimate>>;
}

export interface MeasuredGroup {
  readonly title: string;
  readonly note: string;
  readonly baseline: string | null;
  readonly publishedColumns: readonly string[];
  readonly rows: readonly MeasuredRow[];
}

export interface MeasuredExperiment {
  readonly name: string;
  readonly title: string;
  readonly question: string;
  readonly groups: readonly MeasuredGroup[];
  readonly claims: readonly Judgement[];
  /** Of a measurement that was made, or what follows from several rows. */
  readonly measured: JsonObject | null;
}

export interface TableRules {
  readonly quality: Quality;
  readonly columns: readonly FigureColumn[];
  readonly seeds: number;
}

export function measureExperiment(experiment: Experiment, results: Results, rules: TableRules, measured: JsonObject | undefined): MeasuredExperiment {
  const { name, title, question, groups, claims } = experiment;
  return {
    name, title, question,
    groups: groups.map((group) => measureGroup(group, results, rules)),
    claims: claims.map((claim) => judgeClaim(claim, results, rules.quality)),
    measured: measured ?? null,
  };
}

function measureGroup({ title, note = '', rows, baseline }: RowGroup, results: Results, rules: TableRules): MeasuredGroup {
  return {
    title, note,
    baseline: baseline?.label ?? null,
    publishedColumns: [...new Set(rows.flatMap(({ published = {} }) => Object.keys(published)))],
    rows: rows.map((row) => measureRow(row, baseline, results, rules)),
  };
}

function measureRow(row: Row, baseline: Row | undefined, results: Results, { quality, columns }: TableRules): MeasuredRow {
  const figures = results.figures(row);
  const own = qualitiesOf(results, row, quality);
  const difference = baseline && baseline !== row ? pairedDifference(own, qualitiesOf(results, baseline, quality)) : undefined;
  const estimates = columns.flatMap(({ key }) => {
    const estimate = estimateOf(figures.flatMap((one) => one?.[key] ?? []));
    return estimate ? [[key, estimate] as const] : [];
  });
  return {
    label: row.label,
    seeds: own.filter((value) => value !== undefined).length,
    published: row.published ?? {},
    quality: estimateOf(own.filter((value) => value !== undefined)) ?? null,
    difference: difference ?? null,
    noise: difference ? isNoise(difference) : null,
    differenceText: difference ? differenceText(difference, quality) : '',
    figures: Object.fromEntries(estimates),
  };
}
