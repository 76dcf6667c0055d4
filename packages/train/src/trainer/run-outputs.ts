// Where a run reports to: metrics.jsonl, TensorBoard and the progress display, and the rows that one step makes.
import { join } from 'node:path';
import { createMetricsLog } from '../metrics/metrics-log.js';
import { createProgress, type Progress, type ProgressStream, type ProgressUpdate } from '../metrics/progress.js';
import { createTensorBoardWriter } from '../metrics/tensorboard.js';
import type { MetricsRow } from '../metrics/rows.js';
import type { LayerRouting, RoutingByLayer } from './layer-routing.js';
import { stepFlops } from './run-totals.js';
import type { StepReport } from './trainer.js';

export interface RunOutputsOptions {
  /** Of the run. */
  readonly directory: string;
  readonly stream: ProgressStream;
  readonly totalSteps: number;
  readonly firstStep: number;
  /** Later rows of an earlier session are removed. */
  readonly resume: boolean;
}

export interface RunOutputs {
  readonly progress: Progress;
  record(rows: readonly MetricsRow[]): void;
  /** Makes what was recorded survive a power cut. */
  flush(): void;
  close(): void;
}

export function openRunOutputs({ directory, stream, totalSteps, firstStep, resume }: RunOutputsOptions): RunOutputs {
  const resumeFrom = resume ? { resumeFrom: firstStep } : {};
  const log = createMetricsLog({ path: join(directory, 'metrics.jsonl'), ...resumeFrom });
  const board = createTensorBoardWriter({ directory: join(directory, 'tensorboard'), ...resumeFrom });
  const progress = createProgress({ stream, totalSteps, firstStep });
  return {
    progress,
    record(rows) {
      for (const row of rows) if (log.append(row)) board.row(row);
    },
    flush() {
      log.flush();
      board.flush();
    },
    close() {
      progress.finish();
      log.close();
      board.close();
    },
  };
}

/** Of a rank that another one reports for. */
export function noOutputs(): RunOutputs {
  const nothing = (): void => undefined;
  return { progress: { update: nothing, message: nothing, finish: nothing }, record: nothing, flush: nothing, close: nothing };
}

/** The rows of one step: itself, and its routing if that was collected. */
export function stepRows(result: StepReport, times: { seconds: number; communicationSeconds?: number }, tokensPerSecond: number): MetricsRow[] {
  const { step, crossEntropy, auxLoss, learningRate, gradientNorm, targets, lossScale, skippedUpdates } = result;
  const row = {
    kind: 'step', step, loss: crossEntropy, auxLoss, learningRate, gradientNorm, tokens: targets, tokensPerSecond, ...times, lossScale,
    ...(skippedUpdates > 0 ? { skippedUpdates } : {}),
  } as const;
  const routing = result.routing ?? [];
  if (routing.length === 0) return [row];
  return [
    {
      ...row,
      ...stepFlops(routing),
      expertsPerToken: routing.map(({ summary }) => summary.expertsPerToken),
      dropRate: routing.map(({ summary }) => summary.dropRate),
    },
    { kind: 'routing', step, load: routing.map(({ summary }) => [...summary.load]), layers: routing.map(({ layer }) => layer), ...tokensByCount(routing), ...positiveShares(routing) },
  ];
}

/** How many tokens took how many experts, where the layers count them. */
function tokensByCount(routing: RoutingByLayer): { tokensByCount?: number[][] } {
  const lists = routing.flatMap(({ summary: { tokensByCount: list } }) => (list ? [[...list]] : []));
  return lists.length === routing.length ? { tokensByCount: lists } : {};
}

/** Shares of positive hidden units, where the layers count them. */
function positiveShares(routing: RoutingByLayer): { positiveShare?: number[] } {
  const shares = routing.flatMap(({ summary: { positiveShare } }) => positiveShare ?? []);
  return shares.length === routing.length ? { positiveShare: shares } : {};
}

/** What the display shows of a step; `routing` is the last that was collected. */
export function progressUpdate(result: StepReport, routing: RoutingByLayer, tokensPerSecond: number): ProgressUpdate {
  const shown = { step: result.step, loss: result.crossEntropy, tokensPerSecond, skippedUpdates: result.skippedUpdates };
  if (routing.length === 0) return shown;
  const mean = (pick: (summary: LayerRouting) => number): number => routing.reduce((sum, { summary }) => sum + pick(summary), 0) / routing.length;
  return { ...shown, expertsPerToken: mean((summary) => summary.expertsPerToken), dropRate: mean((summary) => summary.dropRate) };
}
