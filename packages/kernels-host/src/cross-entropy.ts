// Cross-entropy over one chunk of the vocabulary: its statistics per row, and the gradient of its logits.
import { LOWEST_FLOAT32, type CrossEntropyChunk, type KernelAttributes } from '@xmoe/core/backend';
import { floats, int32s, type NumericArray, type ViewInputs, type ViewOutputs } from './host-view.js';

export function crossEntropyStats(
  { logits, targets }: ViewInputs<'crossEntropyStats'>,
  { peak, sum, picked, total }: ViewOutputs<'crossEntropyStats'>,
  { offset, vocabulary }: KernelAttributes<'crossEntropyStats'>,
): void {
  const [x, ids] = [floats(logits), int32s(targets)];
  const [peaks, sums, targetLogits, totals] = [floats(peak), floats(sum), floats(picked), total && floats(total)];
  const [R, C] = logits.shape;
  for (let row = 0; row < R; row++) {
    const from = row * C;
    let largest = LOWEST_FLOAT32;
    for (let i = from; i < from + C; i++) if (x[i] > largest) largest = x[i];
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
    targetLogits[row] = pickedLogit(x, from, C, ids[row], offset, vocabulary);
  }
}

/** The logit of the target of a row of one chunk: 0 in other chunks, NaN for no id of the vocabulary. */
export function pickedLogit(x: NumericArray, from: number, columns: number, id: number, offset: number, vocabulary: number): number {
  if (id >= vocabulary) return NaN;
  const column = id - offset;
  return column >= 0 && column < columns ? x[from + column] : 0;
}

export function crossEntropyGrad(
  { logits, targets, peak, sum, scale }: ViewInputs<'crossEntropyGrad'>,
  { dlogits }: ViewOutputs<'crossEntropyGrad'>,
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
