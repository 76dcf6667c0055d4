// Fallbacks of the two cross-entropy primitives, each over one chunk of the vocabulary.
import type { CrossEntropyChunk, Operand } from '../contract.js';
import { reshape, type Scratch } from './scratch.js';

export function crossEntropyStats(
  scratch: Scratch,
  logits: Operand,
  targets: Operand,
  lse: Operand,
  picked: Operand,
  total: Operand,
  { offset }: { offset: number },
): void {
  const rows = logits.shape[0]!;
  const values = scratch.cast(logits, 'float32');
  const peak = scratch.binary('maximum', scratch.reduce('max', values, 1), -3.0e38);
  const sum = scratch.reduce('sum', scratch.unary('exp', scratch.binary('subtract', values, peak)), 1);
  scratch.binary('add', scratch.unary('log', reshape(sum, [rows])), reshape(peak, [rows]), lse);
  scratch.kernels.takeAlongLast(values, localTargets(scratch, targets, offset), reshape(picked, [rows, 1]));
  scratch.reduce('sum', values, 1, total);
}

export function crossEntropyGrad(
  scratch: Scratch,
  logits: Operand,
  targets: Operand,
  lse: Operand,
  scale: Operand,
  dlogits: Operand,
  { offset, labelSmoothing, vocabulary }: CrossEntropyChunk,
): void {
  const rows = logits.shape[0]!;
  const values = scratch.cast(logits, 'float32');
  const probabilities = scratch.unary('exp', scratch.binary('subtract', values, reshape(lse, [rows, 1])));
  const hot = scratch.empty(values.shape);
  scratch.kernels.addAlongLast(scratch.full([rows, 1], 1 - labelSmoothing), localTargets(scratch, targets, offset), hot);
  const smoothed = scratch.binary('add', hot, labelSmoothing / vocabulary);
  const difference = scratch.binary('subtract', probabilities, smoothed);
  scratch.copy(scratch.binary('multiply', difference, reshape(scale, [rows, 1])), dlogits);
}

/** Target ids relative to the chunk, [R, 1]; those of other chunks fall outside and are ignored by the index rules. */
function localTargets(scratch: Scratch, targets: Operand, offset: number): Operand {
  const local = offset === 0 ? targets : scratch.binary('subtract', targets, offset);
  return reshape(local, [targets.shape[0]!, 1]);
}
