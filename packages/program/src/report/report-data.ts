// What a report shows, as plain JSON, and its construction from a run's metrics rows and summary. No drawing here.
import type { JsonObject, JsonValue } from '@xmoe/files';
import { formatCompact, formatDuration, formatShare, type EvaluationRow, type MetricsRow, type RoutingRow, type StepRow } from '@xmoe/train';

/** One headline number. */
export interface SummaryItem {
  label: string;
  value: string;
  /** A few words below the number. */
  note?: string;
}

/** A model that the trained one is compared with, on the same tokens. */
export interface Baseline {
  name: string;
  perplexity: number;
}

export interface TextSample {
  title: string;
  /** Shown apart from the text that the model added. */
  prompt?: string;
  text: string;
}

/** One score of several systems on the same data, the own one among them. */
export interface Comparison {
  /** Of the section in the page. */
  id: string;
  title: string;
  caption: string;
  entries: { name: string; value: number; own?: boolean }[];
}

export interface TranslationSample {
  source: string;
  reference: string;
  translation: string;
}

/** A word of a text and what each layer did with its tokens. */
export interface RoutedWord {
  text: string;
  /** By layer: the experts of each token of the word, best first. */
  layers: { name: string; experts: number[][] }[];
}

/** What a resumed session changed of the configuration; config.json of a run records it so. */
export interface RunChange {
  /** From which step on. */
  step: number;
  /** By dotted key: the value before and after, as JSON text. */
  changed: Record<string, [before: string, after: string]>;
}

/** Everything in a report. Plain JSON. */
export interface ReportData {
  title: string;
  /** When the run ended, ISO 8601. */
  createdAt: string;
  summary: SummaryItem[];
  /** The test perplexity of the run itself, beside the baselines. */
  perplexity?: number;
  baselines: Baseline[];
  comparisons: Comparison[];
  translations: TranslationSample[];
  /** Texts, word by word. */
  routedText: RoutedWord[][];
  samples: TextSample[];
  /** As it was at the end. */
  configuration: JsonObject;
  /** What was another before, in order. */
  changes: RunChange[];
  steps: StepRow[];
  evaluations: EvaluationRow[];
  routing: RoutingRow[];
  /** Of a run that goes on: how often the page loads itself again, and what stands beside its time. */
  live?: { reloadSeconds: number; note: string };
}

/** What a run has recorded of itself. */
export interface Recorded {
  rows: readonly MetricsRow[];
  changes?: readonly RunChange[];
}

export interface ReportInput extends Recorded {
  title: string;
  /** summary.json of the run. The fields that it is known to have become headline numbers. */
  summary: JsonObject;
  configuration: JsonObject;
  samples?: readonly TextSample[];
  comparisons?: readonly Comparison[];
  translations?: readonly TranslationSample[];
  routedText?: readonly RoutedWord[][];
  /** More headline numbers, first in line. */
  headline?: readonly SummaryItem[];
  /** Default: now. */
  createdAt?: string;
}

/** Puts a report together. */
export function createReportData({ title, rows, summary, configuration, ...rest }: ReportInput): ReportData {
  const steps = fillFlops(rows.filter((row): row is StepRow => row.kind === 'step'));
  return {
    title,
    createdAt: rest.createdAt ?? new Date().toISOString(),
    summary: [...(rest.headline ?? []), ...headlineOf(summary), ...timeOf(steps)],
    perplexity: numberOf(summary.testPerplexity),
    baselines: [
      ['unigram model', summary.unigramPerplexity],
      ['bigram model', summary.bigramPerplexity],
    ].flatMap(([name, value]) => (typeof value === 'number' ? [{ name: name as string, perplexity: value }] : [])),
    comparisons: [...(rest.comparisons ?? [])],
    translations: [...(rest.translations ?? [])],
    routedText: [...(rest.routedText ?? [])],
    samples: [...(rest.samples ?? [])],
    configuration,
    changes: [...(rest.changes ?? [])],
    steps,
    evaluations: rows.filter((row): row is EvaluationRow => row.kind === 'evaluation'),
    routing: rows.filter((row): row is RoutingRow => row.kind === 'routing'),
  };
}

/** FLOPs are counted every few steps; a row with them stands for the steps since the one before. */
export function fillFlops(steps: readonly StepRow[]): StepRow[] {
  let counted: Pick<StepRow, 'budgetedFlops' | 'executedFlops'> = {};
  return [...steps].reverse().map((row) => {
    const { budgetedFlops, executedFlops } = row;
    if (executedFlops !== undefined) counted = { budgetedFlops, executedFlops };
    return { ...row, ...counted };
  }).reverse();
}

/** How the fields of summary.json read. In the order of the report; others are not headline numbers. */
const HEADLINES: readonly [key: string, label: string, format: (value: JsonValue) => string][] = [
  ['testPerplexity', 'test perplexity', (value) => decimals(value, 2)],
  ['bitsPerByte', 'bits per byte', (value) => decimals(value, 3)],
  ['bleu', 'BLEU', (value) => decimals(value, 1)],
  ['chrf', 'chrF2++', (value) => decimals(value, 1)],
  ['parameters', 'parameters', compact],
  ['steps', 'steps', (value) => (typeof value === 'number' ? value.toLocaleString('en') : String(value))],
  ['skippedUpdates', 'updates skipped', String],
  ['tokens', 'training tokens', compact],
  ['tokensPerSecond', 'tokens per second', compact],
  ['expertsPerToken', 'experts per token', (value) => decimals(mean(value), 2)],
  ['dropRate', 'claims dropped', (value) => formatShare(mean(value))],
  ['backend', 'backend', String],
];

function headlineOf(summary: JsonObject): SummaryItem[] {
  return HEADLINES.flatMap(([key, label, format]) => {
    const value = summary[key];
    return value === undefined || value === null || (key === 'skippedUpdates' && value === 0) ? [] : [{ label, value: format(value) }];
  });
}

function timeOf(steps: readonly StepRow[]): SummaryItem[] {
  const seconds = steps.reduce((sum, row) => sum + row.seconds, 0);
  return seconds > 0 ? [{ label: 'time in training steps', value: formatDuration(seconds) }] : [];
}

function compact(value: JsonValue): string {
  return typeof value === 'number' ? formatCompact(Math.round(value)) : String(value);
}

function decimals(value: JsonValue, digits: number): string {
  return typeof value === 'number' && Number.isFinite(value) ? value.toFixed(digits) : String(value);
}

/** The mean over layers, or the number itself. */
function mean(value: JsonValue): number {
  if (!Array.isArray(value)) return Number(value);
  return value.reduce<number>((sum, item) => sum + Number(item), 0) / value.length;
}

function numberOf(value: JsonValue | undefined): number | undefined {
  return typeof value === 'number' ? value : undefined;
}
