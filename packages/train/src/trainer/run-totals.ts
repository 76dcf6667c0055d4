// Running totals of a whole run, saved with its checkpoints so that a resumed run reports the whole. Pure numbers.
import { z } from 'zod';
import { layerRoutingSchema, type RoutingByLayer } from './layer-routing.js';

export const runTotalsSchema = z.object({
  /** Wall-clock of training steps. */
  seconds: z.number(),
  /** Processor time of them, over all threads. Absent from runs that were made before this was measured. */
  processorSeconds: z.number().default(0),
  /** FLOPs of the expert layers up to step `countedTo`, which was the last to collect routing. */
  budgetedFlops: z.number(),
  executedFlops: z.number(),
  countedTo: z.int().nonnegative(),
  /** What that step collected. */
  routing: z.array(z.object({ layer: z.string(), summary: layerRoutingSchema })),
  /** The last step with an evaluation, 0 for none. */
  evaluatedAt: z.int().nonnegative(),
  /** The best metric of all evaluations, lower is better; null when none was finite. */
  bestMetric: z.number().nullable().default(null),
  /** Evaluations after that one. */
  evaluationsSinceBest: z.int().nonnegative().default(0),
});

export type RunTotals = z.output<typeof runTotalsSchema>;

export function emptyTotals(): RunTotals {
  return { seconds: 0, processorSeconds: 0, budgetedFlops: 0, executedFlops: 0, countedTo: 0, routing: [], evaluatedAt: 0, bestMetric: null, evaluationsSinceBest: 0 };
}

/** Counts the time of a training step. @param used as `process.cpuUsage` tells it, microseconds */
export function countTime(totals: RunTotals, seconds: number, used: { readonly user: number; readonly system: number }): RunTotals {
  return { ...totals, seconds: totals.seconds + seconds, processorSeconds: totals.processorSeconds + (used.user + used.system) / 1e6 };
}

/** Counts a step that collected routing: it stands for all steps since the one before that did. */
export function countRouting(totals: RunTotals, step: number, routing: RoutingByLayer): RunTotals {
  return { ...totals, ...flopsAt({ ...totals, routing }, step), countedTo: step, routing };
}

/** Counts an evaluation of `metric`, lower is better. One that is not finite is never the best. */
export function countEvaluation(totals: RunTotals, step: number, metric: number): RunTotals {
  const isBetter = Number.isFinite(metric) && (totals.bestMetric === null || metric < totals.bestMetric);
  return isBetter
    ? { ...totals, evaluatedAt: step, bestMetric: metric, evaluationsSinceBest: 0 }
    : { ...totals, evaluatedAt: step, evaluationsSinceBest: totals.evaluationsSinceBest + 1 };
}

/** The FLOPs up to `step`: steps after the last collected one count like it. */
export function flopsAt(totals: RunTotals, step: number): { budgetedFlops: number; executedFlops: number } {
  const steps = step - totals.countedTo;
  const { budgetedFlops, executedFlops } = stepFlops(totals.routing);
  return {
    budgetedFlops: totals.budgetedFlops + budgetedFlops * steps,
    executedFlops: totals.executedFlops + executedFlops * steps,
  };
}

/** FLOPs of one step over all layers. */
export function stepFlops(routing: RoutingByLayer): { budgetedFlops: number; executedFlops: number } {
  return {
    budgetedFlops: routing.reduce((sum, { summary }) => sum + summary.budgetedFlops, 0),
    executedFlops: routing.reduce((sum, { summary }) => sum + summary.executedFlops, 0),
  };
}
