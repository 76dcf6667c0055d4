// Fallbacks of the two cross-entropy primitives, each over one chunk of the vocabulary.
import type { CrossEntropyChunk, KernelAttributes, KernelInputs, KernelOutputs, Operand } from '../contract.js';
import { LOWEST_FLOAT32 } from '../dtype.js';
import { reshape, type Scratch } from './scratch.js';

export function crossEntropyStats(
  scratch: Scratch,
  { logits, targets }: KernelInputs<'crossEntropyStats'>,
  { peak, sum, picked, total }: KernelOutputs<'crossEntropyStats'>,
  { offset, vocabulary }: KernelAttributes<'crossEntropyStats'>,
): void {
  const rows = logits.shape[0]!;
  const values = scratch.cast(logits, 'float32');
  const top = scratch.binary('maximum', scratch.reduce('max', values, 1), LOWEST_FLOAT32);
  const shifted = scratch.binary('subtract', values, top);
  scratch.reduce('sum', scratch.unary('exp', shifted), 1, sum);
  // NaN in one is NaN in all.
  const spoiled = scratch.binary('multiply', sum, 0);
  scratch.binary('add', reshape(top, [rows]), spoiled, peak);
  if (total) scratch.binary('add', reshape(scratch.reduce('sum', shifted, 1), [rows]), spoiled, total);
  const found = scratch.empty([rows, 1]);
  scratch.kernels.takeAlongLast({ x: values, indices: localTargets(scratch, targets, offset) }, { out: found });
  scratch.select(scratch.compare('less', targets, vocabulary), reshape(found, [rows]), NaN, picked);
}

export function crossEntropyGrad(
  scratch: Scratch,
  { logits, targets, peak, sum, scale }: KernelInputs<'crossEntropyGrad'>,
  { dlogits }: KernelOutputs<'crossEntropyGrad'>,
  { offset, labelSmoothing, vocabulary }: CrossEntropyChunk,
): void {
  const rows = logits.shape[0]!;
  const values = scratch.cast(logits, 'float32');
  const exponentials = scratch.unary('exp', scratch.binary('subtract', values, reshape(peak, [rows, 1])));
  const probabilities = scratch.binary('divide', exponentials, reshape(sum, [rows, 1]));
  const hot = scratch.empty(values.shape);
  scratch.kernels.addAlongLast({ x: scratch.full([rows, 1], 1 - labelSmoothing), indices: localTargets(scratch, targets, offset) }, { out: hot });
  const smoothed = scratch.binary('add', hot, labelSmoothing / vocabulary);
  const difference = scratch.binary('subtract', probabilities, smoothed);
  const factor = scratch.select(scratch.compare('less', targets, vocabulary), scale, NaN);
  const slope = scratch.binary('multiply', difference, reshape(factor, [rows, 1]));
  const hasTarget = reshape(scratch.compare('greaterEqual', targets, 0), [rows, 1]);
  scratch.copy(scratch.select(hasTarget, slope, 0), dlogits);
}

/** Target ids relative to the chunk, [R, 1]; those of other chunks fall outside and are ignored by the index rules. */
function localTargets(scratch: Scratch, targets: Operand, offset: number): Operand {
  const local = offset === 0 ? targets : scratch.binary('subtract', targets, offset);
  return reshape(local, [targets.shape[0]!, 1]);
}
