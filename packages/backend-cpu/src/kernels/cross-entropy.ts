// Cross-entropy over one chunk of the vocabulary: its statistics per row, and the gradient of its logits.
import { type CrossEntropyChunk, type KernelAttributes, type KernelInputs, type KernelOutputs } from '@xmoe/core';
import { LOWEST_FLOAT32 } from '@xmoe/core/backend';
import { floats, int32s } from '../storage.js';

export function crossEntropyStats(
  { logits, targets }: KernelInputs<'crossEntropyStats'>,
  { peak, sum, picked, total }: KernelOutputs<'crossEntropyStats'>,
  { offset, vocabulary }: KernelAttributes<'crossEntropyStats'>,
): void {
  const [x, ids] = [floats(logits), int32s(targets)];
  const [peaks, sums, targetLogits, totals] = [floats(peak), floats(sum), floats(picked), total && floats(total)];
  const [R, C] = logits.shape;
  for (let row = 0; row < R; row++) {
    const from = row * C;
    let largest = LOWEST_FLOAT32;
    for (let i = from; i < from + C; i++) largest = Math.max(largest, x[i]);
    let exponentials = 0;
    let distances = 0;
    for (let i = from; i < from + C; i++) {
      exponentials += Math.exp(x[i] - largest);
      distances += x[i] - largest;
    }
    const isSpoiled = Number.isNaN(exponentials);
    peaks[row] = isSpoiled ? NaN : largest;
    sums[row] = exponentials;
    if (totals) totals[row] = isSpoiled ? NaN : distances;
    const column = ids[row] - offset;
    targetLogits[row] = ids[row] >= vocabulary ? NaN : column >= 0 && column < C ? x[from + column] : 0;
  }
}

export function crossEntropyGrad(
  { logits, targets, peak, sum, scale }: KernelInputs<'crossEntropyGrad'>,
  { dlogits }: KernelOutputs<'crossEntropyGrad'>,
  { offset, labelSmoothing, vocabulary }: CrossEntropyChunk,
): void {
  const [x, ids, peaks, sums, factors, target] = [floats(logits), int32s(targets), floats(peak), floats(sum), floats(scale), floats(dlogits)];
  const [R, C] = logits.shape;
  const smooth = labelSmoothing / vocabulary;
  for (let row = 0; row < R; row++) {
    const from = row * C;
    if (ids[row] < 0) {
      target.fill(0, from, from + C);
      continue;
    }
    const factor = ids[row] < vocabulary ? factors[row] : NaN;
    for (let i = from; i < from + C; i++) target[i] = (Math.exp(x[i] - peaks[row]) / sums[row] - smooth) * factor;
    const column = ids[row] - offset;
    if (column >= 0 && column < C) {
      const at = from + column;
      target[at] = (Math.exp(x[at] - peaks[row]) / sums[row] - smooth - (1 - labelSmoothing)) * factor;
    }
  }
}
