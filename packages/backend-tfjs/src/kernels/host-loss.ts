// Cross-entropy over one chunk of the vocabulary, and AdamW, on the host.
import { type FusedKernels } from '@xmoe/core';
import { LOWEST_FLOAT32 } from '@xmoe/core/backend';
import type { HostArray } from '../box.js';
import type { Memory } from '../memory.js';

/** The logit of the target of a row of one chunk: 0 in other chunks, NaN for no id of the vocabulary. */
export function pickedLogit(scores: HostArray, start: number, columns: number, id: number, offset: number, vocabulary: number): number {
  if (id >= vocabulary) return NaN;
  const column = id - offset;
  return column >= 0 && column < columns ? scores[start + column] : 0;
}

export function hostLoss(memory: Memory): Pick<FusedKernels, 'crossEntropyStats' | 'crossEntropyGrad' | 'adamStep'> {
  return {
    crossEntropyStats: ({ logits, targets }, { peak, sum, picked, total }, { offset, vocabulary }) =>
      memory.run([peak, sum, picked, ...(total ? [total] : [])], [logits, targets], ([peaks, sums, chosen, totals], [scores, ids]) => {
        const [R, C] = logits.shape;
        for (let r = 0, start = 0; r < R; r++, start += C) {
          let largest = LOWEST_FLOAT32;
          for (let j = start; j < start + C; j++) if (scores[j] > largest) largest = scores[j];
          let exponentials = 0;
          let distances = 0;
          for (let j = start; j < start + C; j++) {
            exponentials += Math.exp(scores[j] - largest);
            distances += scores[j] - largest;
          }
          const isSpoiled = Number.isNaN(exponentials);
          peaks[r] = isSpoiled ? NaN : largest;
          sums[r] = exponentials;
          if (total) totals[r] = isSpoiled ? NaN : distances;
          chosen[r] = pickedLogit(scores, start, C, ids[r], offset, vocabulary);
        }
      }),
    crossEntropyGrad: ({ logits, targets, peak, sum, scale }, { dlogits }, { offset, labelSmoothing, vocabulary }) =>
      memory.run([dlogits], [logits, targets, peak, sum, scale], ([z], [scores, ids, peaks, sums, scales]) => {
        const [R, C] = logits.shape;
        const spread = labelSmoothing / vocabulary;
        for (let r = 0, start = 0; r < R; r++, start += C) {
          if (ids[r] < 0) {
            z.fill(0, start, start + C);
            continue;
          }
          const factor = ids[r] < vocabulary ? scales[r] : NaN;
          for (let j = start; j < start + C; j++) z[j] = (Math.exp(scores[j] - peaks[r]) / sums[r] - spread) * factor;
          const column = ids[r] - offset;
          if (column >= 0 && column < C) {
            const p = Math.exp(scores[start + column] - peaks[r]) / sums[r];
            z[start + column] = (p - (1 - labelSmoothing) - spread) * factor;
          }
        }
      }),
    adamStep: ({ gradients, hyper }, { parameters, m, v }, { decay }) => parameters.forEach((parameter, index) =>
      memory.update([parameter, m[index], v[index]], [gradients[index], hyper], ([p, first, second], [g, h]) => {
        const [rate, beta1, beta2, epsilon, weightDecay, correction1, correction2, scale, rest1, rest2] = h;
        if (scale === 0) return;
        const shrink = decay ? rate * weightDecay : 0;
        const step = rate / correction1;
        const unbias = 1 / correction2;
        for (let i = 0; i < p.length; i++) {
          const slope = g[i] * scale;
          const mean = beta1 * first[i] + rest1 * slope;
          const square = beta2 * second[i] + rest2 * slope * slope;
          first[i] = mean;
          second[i] = square;
          p[i] -= (step * mean) / (Math.sqrt(square * unbias) + epsilon) + shrink * p[i];
        }
      })),
  };
}
