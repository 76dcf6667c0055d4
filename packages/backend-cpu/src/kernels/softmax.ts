// softmax and its gradient over the last axis.
import type { KernelInputs, KernelOutputs } from '@xmoe/core';
import { floats } from '../storage.js';

export function softmax({ x }: KernelInputs<'softmax'>, { out }: KernelOutputs<'softmax'>): void {
  const [source, target] = [floats(x), floats(out)];
  const C = x.shape[1];
  for (let from = 0; from < source.length; from += C) {
    const end = from + C;
    let largest = -Infinity;
    for (let i = from; i < end; i++) largest = Math.max(largest, source[i]);
    if (largest === -Infinity) {
      target.fill(0, from, end);
      continue;
    }
    let sum = 0;
    for (let i = from; i < end; i++) sum += Math.exp(source[i] - largest);
    for (let i = from; i < end; i++) target[i] = Math.exp(source[i] - largest) / sum;
  }
}

export function softmaxGrad({ y, dy }: KernelInputs<'softmaxGrad'>, { dx }: KernelOutputs<'softmaxGrad'>): void {
  const [probabilities, upstream, target] = [floats(y), floats(dy), floats(dx)];
  const C = y.shape[1];
  for (let from = 0; from < target.length; from += C) {
    let mean = 0;
    for (let i = from; i < from + C; i++) mean += probabilities[i] * upstream[i];
    for (let i = from; i < from + C; i++) target[i] = probabilities[i] * (upstream[i] - mean);
  }
}
