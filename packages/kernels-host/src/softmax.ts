// softmax and its gradient over the last axis.
import { floats, type NumericArray, type ViewInputs, type ViewOutputs } from './host-view.js';

export function softmax({ x }: ViewInputs<'softmax'>, { out }: ViewOutputs<'softmax'>): void {
  const [source, target] = [floats(x), floats(out)];
  const C = x.shape[1];
  const exponentials = new Float64Array(C);
  for (let from = 0; from < source.length; from += C) {
    let largest = -Infinity;
    for (let i = from; i < from + C; i++) largest = Math.max(largest, source[i]);
    if (largest === -Infinity) {
      target.fill(0, from, from + C);
      continue;
    }
    let sum = 0;
    for (let j = 0; j < C; j++) {
      exponentials[j] = Math.exp(source[from + j] - largest);
      sum += exponentials[j];
    }
    const inverse = 1 / sum;
    for (let j = 0; j < C; j++) target[from + j] = exponentials[j] * inverse;
  }
}

export function allMinusInfinity(x: NumericArray, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (x[i] !== -Infinity) return false;
  return true;
}

export function softmaxGrad({ y, dy }: ViewInputs<'softmaxGrad'>, { dx }: ViewOutputs<'softmaxGrad'>): void {
  const [probabilities, upstream, target] = [floats(y), floats(dy), floats(dx)];
  const C = y.shape[1];
  for (let from = 0; from < target.length; from += C) {
    let mean = 0;
    for (let i = from; i < from + C; i++) mean += probabilities[i] * upstream[i];
    for (let i = from; i < from + C; i++) target[i] = probabilities[i] * (upstream[i] - mean);
  }
}
