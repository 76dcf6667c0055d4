// Cross-entropy over one chunk of the vocabulary: its statistics per row, and the gradient of its logits.
import type { CrossEntropyChunk, Operand } from '@xmoe/core';
import { floats, int32s } from '../storage.js';

export function crossEntropyStats(
  logits: Operand, targets: Operand, lse: Operand, picked: Operand, total: Operand,
  { offset }: { offset: number },
): void {
  const [x, ids] = [floats(logits), int32s(targets)];
  const [logSums, targetLogits, sums] = [floats(lse), floats(picked), floats(total)];
  const [R, C] = logits.shape;
  for (let row = 0; row < R; row++) {
    const from = row * C;
    let largest = -Infinity;
    let sum = 0;
    for (let i = from; i < from + C; i++) {
      largest = Math.max(largest, x[i]);
      sum += x[i];
    }
    let exponentials = 0;
    if (largest > -Infinity) for (let i = from; i < from + C; i++) exponentials += Math.exp(x[i] - largest);
    logSums[row] = largest > -Infinity ? largest + Math.log(exponentials) : largest;
    const column = ids[row] - offset;
    targetLogits[row] = column >= 0 && column < C ? x[from + column] : 0;
    sums[row] = sum;
  }
}

export function crossEntropyGrad(
  logits: Operand, targets: Operand, lse: Operand, scale: Operand, dlogits: Operand,
  { offset, labelSmoothing, vocabulary }: CrossEntropyChunk,
): void {
  const [x, ids, logSums, factors, target] = [floats(logits), int32s(targets), floats(lse), floats(scale), floats(dlogits)];
  const [R, C] = logits.shape;
  const smooth = labelSmoothing / vocabulary;
  for (let row = 0; row < R; row++) {
    const from = row * C;
    for (let i = from; i < from + C; i++) target[i] = (Math.exp(x[i] - logSums[row]) - smooth) * factors[row];
    const column = ids[row] - offset;
    if (column >= 0 && column < C) {
      const at = from + column;
      target[at] = (Math.exp(x[at] - logSums[row]) - smooth - (1 - labelSmoothing)) * factors[row];
    }
  }
}
