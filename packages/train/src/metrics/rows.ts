// The rows of metrics.jsonl: what one training step, one evaluation and one look at the routing report. Types and their
// validation; writing them is metrics-log.ts. Nothing here is special to language models.
import { z } from 'zod';

/** JSON has no NaN, and a diverged loss is worth recording: non-finite numbers are written as these strings. */
const NON_FINITE: Readonly<Record<string, number>> = { NaN: Number.NaN, Infinity, '-Infinity': -Infinity };

// Annotated: the declaration of an enum with '-Infinity' in it is not TypeScript.
const number: z.ZodType<number> = z.union([z.number(), z.enum(['NaN', 'Infinity', '-Infinity']).transform((name) => NON_FINITE[name]!)]);
const step = z.int().nonnegative();

const stepRowSchema = z.object({
  kind: z.literal('step'),
  step,
  /** The task's mean loss, without auxiliary losses, in nats. */
  loss: number,
  /** The sum of the auxiliary losses, coefficients included. */
  auxLoss: number.optional(),
  learningRate: number,
  /** Before clipping. */
  gradientNorm: number.optional(),
  /** Tokens of this step. */
  tokens: number,
  tokensPerSecond: number,
  /** Wall-clock of this step. */
  seconds: number,
  /** Of those, what the first rank spent in collectives, with waiting for slower ranks. Absent: the run had one process. */
  communicationSeconds: number.optional(),
  lossScale: number.optional(),
  /** Updates of the run so far that changed nothing, their gradient not being finite. Absent: none. */
  skippedUpdates: z.int().nonnegative().optional(),
  /** Per MoE layer: mean number of experts that a token was routed to. */
  expertsPerToken: z.array(number).optional(),
  /** Per MoE layer: share of the claims beyond capacity, 0 to 1. */
  dropRate: z.array(number).optional(),
  /** γ·T·O(E) over all MoE layers of this step, forward and backward as the caller counts them. */
  budgetedFlops: number.optional(),
  executedFlops: number.optional(),
});

const evaluationRowSchema = z.object({
  kind: z.literal('evaluation'),
  step,
  /** `validation`, `test`, … */
  split: z.string(),
  loss: number,
  perplexity: number.optional(),
  /** Anything else that was measured, e.g. `bitsPerByte`, `bleu`. */
  scores: z.record(z.string(), number).optional(),
});

const routingRowSchema = z.object({
  kind: z.literal('routing'),
  step,
  /** [layer][expert]: the expert's share of the layer's claims; a layer sums to 1. */
  load: z.array(z.array(number)),
  /** [layer][count]: the tokens of the step that were routed to so many experts, from 0 on, before capacity. */
  tokensByCount: z.array(z.array(number)).optional(),
  /** [layer]: share of hidden units above 0, where the layers count them. */
  positiveShare: z.array(number).optional(),
  /** Names of the layers, e.g. `encoder 2`; default `layer 1`, `layer 2`, … */
  layers: z.array(z.string()).optional(),
});

export type StepRow = z.output<typeof stepRowSchema>;
export type EvaluationRow = z.output<typeof evaluationRowSchema>;
export type RoutingRow = z.output<typeof routingRowSchema>;
export type MetricsRow = StepRow | EvaluationRow | RoutingRow;

export const metricsRowSchema = z.discriminatedUnion('kind', [stepRowSchema, evaluationRowSchema, routingRowSchema]);

/** One line of the file, without the line end. */
export function encodeRow(row: MetricsRow): string {
  return JSON.stringify(row, (_, value: unknown) =>
    typeof value === 'number' && !Number.isFinite(value) ? String(value) : value,
  );
}

/** What makes a row unique: a step has one row of each kind, and an evaluation one per split. */
export function rowKey(row: MetricsRow): string {
  return row.kind === 'evaluation' ? `evaluation ${row.split}` : row.kind;
}
