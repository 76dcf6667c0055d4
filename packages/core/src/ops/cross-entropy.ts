// Cross-entropy on logits, and fused with the vocabulary projection in chunks, so that [R, V] never exists whole.
import { XMoEError } from '../errors.js';
import { customGradient } from '../grad.js';
import type { Tensor } from '../tensor.js';
import { requireDType, requireExtent, requireFloat, requireRank, requireSameDType, requireSameEngine } from './check.js';
import { add, cast, exp, greaterEqual, log, maximum, multiply, select, subtract } from './elementwise.js';
import { matmul } from './matmul.js';
import { concat, slice } from './movement.js';

export interface CrossEntropyOptions {
  /** ε of label smoothing (Szegedy et al. 2016): the target keeps 1 − ε, all V share ε. */
  labelSmoothing?: number;
}

export interface LinearCrossEntropyOptions extends CrossEntropyOptions {
  /** Columns of the vocabulary handled at once; by default as many as keep [R, chunk] at 2²³ elements. */
  chunk?: number;
}

/**
 * Per-row loss −log softmax(logits)[target] in nats: float32 [R]. logits [R, V], targets int32 [R].
 * A negative target means "no target": its loss and gradient are 0.
 */
export function crossEntropy(logits: Tensor, targets: Tensor, options: CrossEntropyOptions = {}): Tensor {
  const op = 'crossEntropy';
  requireRank(op, 'logits', logits, 2);
  requireFloat(op, 'logits', logits);
  checkTargets(op, logits, targets);
  const vocabulary = logits.shape[1]!;
  const labelSmoothing = checkSmoothing(op, options);
  return customGradient(
    op,
    [logits],
    () => {
      const stats = chunkStats(logits, targets, 0);
      return { outputs: lossOf(stats, targets, labelSmoothing, vocabulary), saved: [logits, targets, stats.lse] };
    },
    ([dy], [savedLogits, savedTargets, lse]) => [
      chunkGradient(savedLogits!, savedTargets!, lse!, rowScale(dy!, savedTargets!), { offset: 0, labelSmoothing, vocabulary }),
    ],
  );
}

/**
 * crossEntropy(h·wᵀ, targets) without the whole [R, V]: chunks of the vocabulary with a running log-sum-exp, recomputed
 * in the backward pass. h [R, d], w [V, d], targets int32 [R] → float32 [R]. One chunk keeps its logits instead.
 */
export function linearCrossEntropy(h: Tensor, w: Tensor, targets: Tensor, options: LinearCrossEntropyOptions = {}): Tensor {
  const op = 'linearCrossEntropy';
  requireRank(op, 'h', h, 2);
  requireRank(op, 'w', w, 2);
  requireSameDType(op, h, w);
  requireExtent(op, 'the width of w', w.shape[1]!, h.shape[1]!);
  requireFloat(op, 'h', h);
  requireSameEngine(op, h, w);
  checkTargets(op, h, targets);
  const vocabulary = w.shape[0]!;
  const labelSmoothing = checkSmoothing(op, options);
  const chunk = options.chunk ?? Math.max(256, Math.floor(2 ** 23 / Math.max(1, h.shape[0]!)));
  if (!Number.isInteger(chunk) || chunk < 1) {
    throw new XMoEError('value', `chunk is ${chunk}`, { op, hint: 'pass a whole number of columns, 1 or more' });
  }
  if (chunk >= vocabulary) return crossEntropy(matmul(h, w, { transposeB: true, dtype: 'float32' }), targets, options);
  const plan: Chunks = { size: chunk, labelSmoothing, vocabulary };
  return customGradient(
    op,
    [h, w],
    () => {
      const stats = chunkedStats(h, w, targets, plan);
      return { outputs: lossOf(stats, targets, labelSmoothing, vocabulary), saved: [h, w, targets, stats.lse] };
    },
    ([dy], [savedH, savedW, savedTargets, lse], needs) =>
      chunkedGradients(savedH!, savedW!, savedTargets!, lse!, rowScale(dy!, savedTargets!), plan, needs),
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
      const fresh = chunkStats(project(h, w, offset, plan).logits, targets, offset);
      return before ? mergeStats(before, fresh) : fresh;
    });
  }
  return merged!;
}

/** dh is summed over the chunks in float32; dw is their concatenation. */
function chunkedGradients(
  h: Tensor, w: Tensor, targets: Tensor, lse: Tensor, scale: Tensor, plan: Chunks, needs: readonly boolean[],
): [Tensor | null, Tensor | null] {
  const { labelSmoothing, vocabulary } = plan;
  let dh: Tensor | null = null;
  const dw: Tensor[] = [];
  for (const offset of offsetsOf(plan)) {
    const before: Tensor | null = dh;
    const made: { dh: Tensor | null; dw: Tensor | null } = h.engine.scope(() => {
      const { part, logits } = project(h, w, offset, plan);
      const dlogits = cast(chunkGradient(logits, targets, lse, scale, { offset, labelSmoothing, vocabulary }), h.dtype);
      const more = needs[0] ? matmul(dlogits, part, { dtype: 'float32' }) : null;
      return { dh: before && more ? add(before, more) : more, dw: needs[1] ? matmul(dlogits, h, { transposeA: true }) : null };
    });
    before?.dispose();
    dh = made.dh;
    if (made.dw) dw.push(made.dw);
  }
  return [dh && cast(dh, h.dtype), dw.length > 0 ? concat(dw, 0) : null];
}

/** float32 [R] each, of one or several chunks: log-sum-exp, the target's logit, the sum of the logits. */
interface Stats {
  lse: Tensor;
  picked: Tensor;
  total: Tensor;
}

function chunkStats(logits: Tensor, targets: Tensor, offset: number): Stats {
  const make = (): Tensor => logits.engine.empty([logits.shape[0]!]);
  const stats = { lse: make(), picked: make(), total: make() };
  logits.engine.kernels.crossEntropyStats(logits, targets, stats.lse, stats.picked, stats.total, { offset });
  return stats;
}

function mergeStats(a: Stats, b: Stats): Stats {
  const peak = maximum(a.lse, b.lse);
  const sum = add(exp(subtract(a.lse, peak)), exp(subtract(b.lse, peak)));
  return { lse: add(peak, log(sum)), picked: add(a.picked, b.picked), total: add(a.total, b.total) };
}

/** lse − (1 − ε)·picked − ε/V·total, 0 where there is no target. */
function lossOf(stats: Stats, targets: Tensor, labelSmoothing: number, vocabulary: number): Tensor {
  let loss = subtract(stats.lse, labelSmoothing === 0 ? stats.picked : multiply(stats.picked, 1 - labelSmoothing));
  if (labelSmoothing !== 0) loss = subtract(loss, multiply(stats.total, labelSmoothing / vocabulary));
  return select(greaterEqual(targets, 0), loss, 0);
}

function rowScale(dy: Tensor, targets: Tensor): Tensor {
  return select(greaterEqual(targets, 0), dy, 0);
}

function chunkGradient(
  logits: Tensor,
  targets: Tensor,
  lse: Tensor,
  scale: Tensor,
  chunk: { offset: number; labelSmoothing: number; vocabulary: number },
): Tensor {
  const { engine } = logits;
  const out = engine.empty(logits.shape, logits.dtype);
  engine.kernels.crossEntropyGrad(logits, targets, lse, scale, out, chunk);
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
