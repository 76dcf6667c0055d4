// Cross-entropy over one chunk of the vocabulary, and AdamW, on the host.
import type { FusedKernels } from '@xmoe/core';
import type { Memory } from '../memory.js';

export function hostLoss(memory: Memory): Pick<FusedKernels, 'crossEntropyStats' | 'crossEntropyGrad' | 'adamStep'> {
  return {
    crossEntropyStats: (logits, targets, lse, picked, total, { offset }) =>
      memory.run([lse, picked, total], [logits, targets], ([logSums, chosen, totals], [scores, ids]) => {
        const [R, C] = logits.shape;
        for (let r = 0, start = 0; r < R; r++, start += C) {
          let peak = -Infinity;
          let plain = 0;
          for (let j = start; j < start + C; j++) {
            if (scores[j] > peak) peak = scores[j];
            plain += scores[j];
          }
          let sum = 0;
          for (let j = start; peak > -Infinity && j < start + C; j++) sum += Math.exp(scores[j] - peak);
          logSums[r] = peak === -Infinity ? -Infinity : peak + Math.log(sum);
          totals[r] = plain;
          const column = ids[r] - offset;
          chosen[r] = column >= 0 && column < C ? scores[start + column] : 0;
        }
      }),
    crossEntropyGrad: (logits, targets, lse, scale, dlogits, { offset, labelSmoothing, vocabulary }) =>
      memory.run([dlogits], [logits, targets, lse, scale], ([z], [scores, ids, logSums, scales]) => {
        const [R, C] = logits.shape;
        const spread = labelSmoothing / vocabulary;
        for (let r = 0, start = 0; r < R; r++, start += C) {
          const factor = scales[r];
          for (let j = start; j < start + C; j++) z[j] = (Math.exp(scores[j] - logSums[r]) - spread) * factor;
          const column = ids[r] - offset;
          if (column >= 0 && column < C) {
            const p = Math.exp(scores[start + column] - logSums[r]);
            z[start + column] = (p - (1 - labelSmoothing) - spread) * factor;
          }
        }
      }),
    adamStep: (parameters, gradients, m, v, hyper, { decay }) => parameters.forEach((parameter, index) =>
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
