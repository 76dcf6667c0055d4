// Cross-entropy on logits, and fused with the vocabulary projection in chunks, so that [R, V] never exists whole.
import type { CrossEntropyChunk } from '../contract.js';
import type { FloatDType } from '../dtype.js';
import { XMoEError } from '../errors.js';
import { customGradient } from '../grad.js';
import type { Tensor } from '../tensor.js';
import { requireDType, requireExtent, requireFloat, requireOptions, requireRank, requireSameDType, requireSameEngine } from './check.js';
import { add, cast, exp, greaterEqual, log, maximum, multiply, select, subtract } from './elementwise.js';
import { matmul, matmulWeight } from './matmul.js';
import { concat, reshape, slice } from './movement.js';

export interface CrossEntropyOptions {
  /** ε of label smoothing (Szegedy et al. 2016): the target keeps 1 − ε, all V share ε. */
  readonly labelSmoothing?: number;
}

export interface LinearCrossEntropyOptions extends CrossEntropyOptions {
  /**
   * Columns of the vocabulary handled at once; by default all where there are at most 2²⁴ logits, else as many as keep [R, chunk] at 2²³, or
   * at what the backend says (`capabilities.logitsAtOnce`) where that is more.
   */
  readonly chunk?: number;
}

/** Kept for the backward pass, 64 MiB; chunks are made again in it, which is a third more products. */
const KEPT_LOGITS = 2 ** 24;
const CHUNK_LOGITS = 2 ** 23;

function defaultChunk(rows: number, vocabulary: number, atOnce = CHUNK_LOGITS): number {
  return rows * vocabulary <= Math.max(KEPT_LOGITS, atOnce) ? Math.max(1, vocabulary) : Math.max(256, Math.floor(atOnce / rows));
}

/**
 * Per-row loss −log softmax(logits)[target] in nats: float32 [R]. logits [R, V], targets int32 [R].
 * A negative target means "no target": its loss and gradient are 0, whatever the row holds. A target of V or more is no id of the
 * vocabulary, and a row with NaN, with +∞ or of −∞ alone has no softmax: their loss and gradient are NaN. Logits that share a large
 * number lose nothing by it: the loss is computed from their distances to the largest.
 */
export function crossEntropy(logits: Tensor, targets: Tensor, options: CrossEntropyOptions = {}): Tensor {
  const op = 'crossEntropy';
  requireRank(op, 'logits', logits, 2);
  requireFloat(op, 'logits', logits);
  checkTargets(op, logits, targets);
  const vocabulary = logits.shape[1]!;
  requireOptions(op, options);
  const labelSmoothing = checkSmoothing(op, options);
  return customGradient(
    op,
    [logits],
    () => {
      const stats = chunkStats(logits, targets, { offset: 0, labelSmoothing, vocabulary });
      return { outputs: lossOf(stats, targets, labelSmoothing, vocabulary), saved: [logits, targets, stats.peak, stats.sum] };
    },
    ([dy], [savedLogits, savedTargets, peak, sum]) => [
      chunkGradient(savedLogits!, { targets: savedTargets!, peak: peak!, sum: sum!, scale: dy! }, { offset: 0, labelSmoothing, vocabulary }),
    ],
  );
}

/**
 * crossEntropy(h·wᵀ, targets) without the whole [R, V]: chunks of the vocabulary with a running maximum and sum, recomputed
 * in the backward pass. h [R, d], w [V, d] in the dtype of h or in float32 (its gradient is float32 then, not rounded to h's),
 * targets int32 [R] → float32 [R]. One chunk keeps its logits instead. Rows of h without a
 * target do not count, whatever they hold.
 */
export function linearCrossEntropy(h: Tensor, w: Tensor, targets: Tensor, options: LinearCrossEntropyOptions = {}): Tensor {
  const op = 'linearCrossEntropy';
  requireRank(op, 'h', h, 2);
  requireRank(op, 'w', w, 2);
  if (w.dtype !== 'float32') requireSameDType(op, h, w);
  requireExtent(op, 'the width of w', w.shape[1]!, h.shape[1]!);
  requireFloat(op, 'h', h);
  requireSameEngine(op, h, w);
  checkTargets(op, h, targets);
  const vocabulary = w.shape[0]!;
  requireOptions(op, options);
  const labelSmoothing = checkSmoothing(op, options);
  const chunk = options.chunk ?? defaultChunk(h.shape[0]!, vocabulary, h.engine.backend.capabilities.logitsAtOnce);
  if (!Number.isInteger(chunk) || chunk < 1) {
    throw new XMoEError('value', `chunk is ${chunk}`, { op, hint: 'pass a whole number of columns, 1 or more' });
  }
  // A zero gradient times a NaN would be one: rows without a target are taken out before the products.
  const rows = select(reshape(greaterEqual(targets, 0), [targets.size, 1]), h, 0);
  if (chunk >= vocabulary) return crossEntropy(matmulWeight(rows, w, { transposeB: true, dtype: 'float32' }), targets, options);
  const plan: Chunks = { size: chunk, labelSmoothing, vocabulary };
  return customGradient(
    op,
    [rows, w],
    () => {
      const low = cast(w, h.dtype);
      const stats = chunkedStats(rows, low, targets, plan);
      return { outputs: lossOf(stats, targets, labelSmoothing, vocabulary), saved: [rows, low, targets, stats.peak, stats.sum] };
    },
    ([dy], [savedRows, savedW, savedTargets, peak, sum], needs) =>
      chunkedGradients(savedRows!, savedW!, { targets: savedTargets!, peak: peak!, sum: sum!, scale: dy! }, { ...plan, gradient: w.dtype as FloatDType }, needs),
  );
}

interface Chunks {
  readonly size: number;
  readonly labelSmoothing: number;
  readonly vocabulary: number;
}

const offsetsOf = ({ size, vocabulary }: Chunks): number[] => Array.from({ length: Math.ceil(vocabulary / size) }, (_, index) => index * size);

/** The rows of w from `offset`, and the logits of those columns: [C, d] and float32 [R, C]. */
function project(h: Tensor, w: Tensor, offset: number, { size, vocabulary }: Chunks): { part: Tensor; logits: Tensor } {
  const part = slice(w, [offset, 0], [Math.min(size, vocabulary - offset), w.shape[1]!]);
  return { part, logits: matmul(h, part, { transposeB: true, dtype: 'float32' }) };
}

function chunkedStats(h: Tensor, w: Tensor, targets: Tensor, plan: Chunks): Stats {
  let merged: Stats | null = null;
  for (const offset of offsetsOf(plan)) {
    const before: Stats | null = merged;
    merged = h.engine.scope(() => {
      const fresh = chunkStats(project(h, w, offset, plan).logits, targets, { ...plan, offset });
      return before ? mergeStats(before, fresh) : fresh;
    });
  }
  return merged!;
}

/** dh is summed over the chunks in float32; dw is their concatenation. */
function chunkedGradients(h: Tensor, w: Tensor, rows: Rows, plan: Chunks & { readonly gradient: FloatDType }, needs: readonly boolean[]): [Tensor | null, Tensor | null] {
  const { labelSmoothing, vocabulary } = plan;
  let dh: Tensor | null = null;
  const dw: Tensor[] = [];
  for (const offset of offsetsOf(plan)) {
    const before: Tensor | null = dh;
    const made: { dh: Tensor | null; dw: Tensor | null } = h.engine.scope(() => {
      const { part, logits } = project(h, w, offset, plan);
      const dlogits = cast(chunkGradient(logits, rows, { offset, labelSmoothing, vocabulary }), h.dtype);
      const more = needs[0] ? matmul(dlogits, part, { dtype: 'float32' }) : null;
      return { dh: before && more ? add(before, more) : more, dw: needs[1] ? matmul(dlogits, h, { transposeA: true, dtype: plan.gradient }) : null };
    });
    before?.dispose();
    dh = made.dh;
    if (made.dw) dw.push(made.dw);
  }
  return [dh && cast(dh, h.dtype), dw.length > 0 ? concat(dw, 0) : null];
}

/**
 * float32 [R] each, of one or several chunks: the largest logit, Σ exp(logit − peak), the target's logit, and, for smoothing,
 * Σ (logit − peak) over `columns` logits.
 */
interface Stats {
  readonly peak: Tensor;
  readonly sum: Tensor;
  readonly picked: Tensor;
  readonly total: Tensor | null;
  readonly columns: number;
}

/** What the gradient of a chunk reads per row: `peak` and `sum` of the whole vocabulary, and the gradient of the loss. */
interface Rows {
  readonly targets: Tensor;
  readonly peak: Tensor;
  readonly sum: Tensor;
  readonly scale: Tensor;
}

function chunkStats(logits: Tensor, targets: Tensor, { offset, labelSmoothing, vocabulary }: CrossEntropyChunk): Stats {
  const [rows, columns] = logits.shape as [number, number];
  const make = (): Tensor => logits.engine.empty([rows]);
  const stats: Stats = { peak: make(), sum: make(), picked: make(), total: labelSmoothing === 0 ? null : make(), columns };
  logits.engine.kernels.crossEntropyStats(
    { logits, targets },
    { peak: stats.peak, sum: stats.sum, picked: stats.picked, total: stats.total }, { offset, vocabulary },
  );
  return stats;
}

function mergeStats(a: Stats, b: Stats): Stats {
  const peak = maximum(a.peak, b.peak);
  const [fallA, fallB] = [subtract(a.peak, peak), subtract(b.peak, peak)];
  return {
    peak,
    sum: add(multiply(a.sum, exp(fallA)), multiply(b.sum, exp(fallB))),
    picked: add(a.picked, b.picked),
    total: a.total && b.total && add(add(a.total, multiply(fallA, a.columns)), add(b.total, multiply(fallB, b.columns))),
    columns: a.columns + b.columns,
  };
}

/** log Σ exp(x − peak) + (1 − ε)·(peak − picked) − ε/V·Σ (x − peak), 0 where there is no target. */
function lossOf({ peak, sum, picked, total }: Stats, targets: Tensor, labelSmoothing: number, vocabulary: number): Tensor {
  const distance = subtract(peak, picked);
  let loss = add(log(sum), total ? multiply(distance, 1 - labelSmoothing) : distance);
  if (total) loss = subtract(loss, multiply(total, labelSmoothing / vocabulary));
  return select(greaterEqual(targets, 0), loss, 0);
}

function chunkGradient(logits: Tensor, { targets, peak, sum, scale }: Rows, chunk: CrossEntropyChunk): Tensor {
  const { engine } = logits;
  const out = engine.empty(logits.shape, logits.dtype);
  engine.kernels.crossEntropyGrad({ logits, targets, peak, sum, scale }, { dlogits: out }, chunk);
  return out;
}

function checkTargets(op: string, rows: Tensor, targets: Tensor): void {
  requireSameEngine(op, rows, targets);
  requireDType(op, 'targets', targets, 'int32');
  requireRank(op, 'targets', targets, 1);
  requireExtent(op, 'the number of targets', targets.size, rows.shape[0]!);
}

function checkSmoothing(op: string, { labelSmoothing = 0 }: CrossEntropyOptions): number {
  if (labelSmoothing >= 0 && labelSmoothing <= 1) return labelSmoothing;
  throw new XMoEError('value', `labelSmoothing is ${labelSmoothing}`, { op, hint: 'pass a number from 0 to 1' });
}
