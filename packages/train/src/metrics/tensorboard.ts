// Event files that TensorBoard shows: one writer per run and process. Not the metrics log, which is the source of reports.
import { closeSync, fsyncSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { XMoEError } from '@xmoe/core';
import { encodeEvent, type Event, type Histogram, type SummaryValue } from './event-message.js';
import type { MetricsRow } from './rows.js';
import { frameRecord } from './tf-record.js';

export interface TensorBoardOptions {
  readonly directory: string;
  /** The step that the run resumes from: what earlier files hold after it is hidden. */
  readonly resumeFrom?: number;
  /** Milliseconds since 1970. Default `Date.now`. */
  readonly now?: () => number;
}

export interface TensorBoardWriter {
  readonly path: string;
  scalars(step: number, values: Readonly<Record<string, number>>): void;
  histogram(step: number, tag: string, values: ArrayLike<number>): void;
  /** The scalars of a row of the metrics log, and of its routing the load of experts as histograms. */
  row(row: MetricsRow): void;
  flush(): void;
  close(): void;
}

let fileCount = 0;

/** Creates a new event file in `directory`. */
export function createTensorBoardWriter({ directory, resumeFrom, now = Date.now }: TensorBoardOptions): TensorBoardWriter {
  mkdirSync(directory, { recursive: true });
  // TensorBoard reads the files of a run in the order of their names.
  const stamp = `${Math.floor(now() / 1000)}`.padStart(10, '0');
  const order = `${process.pid}.${fileCount++}`;
  const path = join(directory, `events.out.tfevents.${stamp}.${hostname()}.${order}`);
  const file = openSync(path, 'wx');
  const write = (event: Omit<Event, 'wallTime'>) => {
    const record = frameRecord(encodeEvent({ wallTime: now() / 1000, ...event }));
    for (let done = 0; done < record.length; ) {
      const written = writeSync(file, record, done);
      if (written <= 0) throw new XMoEError('io', `cannot write ${path}: ENOSPC, no space left on the disk`);
      done += written;
    }
  };
  write({ fileVersion: 'brain.Event:2' });
  if (resumeFrom !== undefined) write({ step: resumeFrom + 1, restart: true });
  const scalars = (step: number, values: Readonly<Record<string, number>>) =>
    write({ step, values: Object.entries(values).map(([tag, scalar]): SummaryValue => ({ tag, scalar })) });
  return {
    path,
    scalars,
    histogram: (step, tag, values) => write({ step, values: [{ tag, histogram: histogramOf(values) }] }),
    row(row) {
      scalars(row.step, scalarsOf(row));
      const loads = histogramsOf(row);
      if (loads.length > 0) write({ step: row.step, values: loads });
    },
    flush: () => fsyncSync(file),
    close: () => closeSync(file),
  };
}

/** The tags and values under which a row appears. Layers and experts count from 1. */
export function scalarsOf(row: MetricsRow): Record<string, number> {
  const out: Record<string, number> = {};
  if (row.kind === 'routing') {
    row.load.forEach((experts, layer) => {
      const busiest = experts.reduce((most, share) => Math.max(most, share), 0) * experts.length; // 1 when all experts have the same load
      out[`routing/busiest expert/layer ${layer + 1}`] = busiest;
    });
    return out;
  }
  if (row.kind === 'evaluation') {
    const { loss, perplexity, scores } = row;
    for (const [name, value] of Object.entries({ loss, perplexity, ...scores })) {
      if (value !== undefined) out[`${row.split}/${name}`] = value;
    }
    return out;
  }
  for (const [name, value] of Object.entries(row)) {
    if (typeof value === 'number' && name !== 'step') out[`train/${name}`] = value;
    if (Array.isArray(value)) value.forEach((item, layer) => (out[`routing/${name}/layer ${layer + 1}`] = item));
  }
  return out;
}

/** Of each layer how often its experts are chosen, in equal shares: 1 is the mean, and what is narrow is balanced; and how many experts its tokens took. */
function histogramsOf(row: MetricsRow): SummaryValue[] {
  if (row.kind !== 'routing') return [];
  return [
    ...row.load.map((experts, layer) => ({ tag: `routing/load/layer ${layer + 1}`, histogram: histogramOf(experts.map((share) => share * experts.length)) })),
    ...(row.tokensByCount ?? []).map((tokens, layer) => ({ tag: `routing/experts per token/layer ${layer + 1}`, histogram: countsHistogram(tokens) })),
  ];
}

/** A bucket for each whole number from 0 on, of which there are so many. */
function countsHistogram(counts: readonly number[]): Histogram {
  const total = (of: (value: number) => number): number => counts.reduce((sum, count, value) => sum + count * of(value), 0);
  const found = counts.flatMap((count, value) => (count > 0 ? [value] : []));
  // A limit between whole numbers: readers disagree about to which side of it a value belongs.
  return {
    min: found[0] ?? 0, max: found.at(-1) ?? 0, count: total(() => 1), sum: total((value) => value), sumOfSquares: total((value) => value * value),
    limits: counts.map((_, value) => value + 0.5), counts,
  };
}

const HISTOGRAM_BUCKETS = 30;

/** Equal-width buckets between the least and the greatest finite value. */
export function histogramOf(values: ArrayLike<number>): Histogram {
  const finite = Array.from(values).filter(Number.isFinite);
  const min = finite.reduce((a, b) => Math.min(a, b), Infinity);
  const max = finite.reduce((a, b) => Math.max(a, b), -Infinity);
  if (finite.length === 0) return { min: 0, max: 0, count: 0, sum: 0, sumOfSquares: 0, limits: [0], counts: [0] };
  const width = (max - min) / HISTOGRAM_BUCKETS || 1;
  const counts = new Array<number>(HISTOGRAM_BUCKETS).fill(0);
  let sum = 0;
  let sumOfSquares = 0;
  for (const value of finite) {
    counts[Math.min(HISTOGRAM_BUCKETS - 1, Math.floor((value - min) / width))]!++;
    sum += value;
    sumOfSquares += value * value;
  }
  const limits = counts.map((_, i) => min + width * (i + 1));
  return { min, max, count: finite.length, sum, sumOfSquares, limits, counts };
}
