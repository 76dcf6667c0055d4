// layerNorm and its gradient. Statistics are computed in two passes, in doubles.
import type { KernelAttributes } from '@xmoe/core';
import { floats, type ViewInputs, type ViewOutputs } from './host-view.js';

export function layerNorm(
  { x, gamma, beta }: ViewInputs<'layerNorm'>,
  { out, mean, rstd }: ViewOutputs<'layerNorm'>,
  { epsilon }: KernelAttributes<'layerNorm'>,
): void {
  const [source, scale, shift, target] = [floats(x), floats(gamma), floats(beta), floats(out)];
  const [means, rstds] = [floats(mean), floats(rstd)];
  const [R, D] = x.shape;
  for (let row = 0; row < R; row++) {
    const from = row * D;
    let sum = 0;
    for (let j = 0; j < D; j++) sum += source[from + j];
    const average = sum / D;
    let squares = 0;
    for (let j = 0; j < D; j++) squares += (source[from + j] - average) ** 2;
    const inverse = 1 / Math.sqrt(squares / D + epsilon);
    for (let j = 0; j < D; j++) target[from + j] = (source[from + j] - average) * inverse * scale[j] + shift[j];
    means[row] = average;
    rstds[row] = inverse;
  }
}

/** dx = rstd·(g − mean(g) − x̂·mean(g·x̂)) with g = dy·gamma and x̂ = (x − mean)·rstd. */
export function layerNormGrad(
  { x, gamma, mean, rstd, dy }: ViewInputs<'layerNormGrad'>,
  { dx, dgamma, dbeta }: ViewOutputs<'layerNormGrad'>,
): void {
  const [source, scale, upstream, target] = [floats(x), floats(gamma), floats(dy), floats(dx)];
  const [means, rstds] = [floats(mean), floats(rstd)];
  const [R, D] = x.shape;
  const [scaleGrad, shiftGrad] = [new Float64Array(D), new Float64Array(D)];
  for (let row = 0; row < R; row++) {
    const from = row * D;
    let drift = 0;
    for (let j = 0; j < D; j++) drift += source[from + j] - means[row];
    const average = means[row] + drift / D; // as stored it is rounded
    const inverse = rstds[row];
    let sum = 0;
    let projected = 0;
    for (let j = 0; j < D; j++) {
      const normal = (source[from + j] - average) * inverse;
      const flow = upstream[from + j];
      scaleGrad[j] += flow * normal;
      shiftGrad[j] += flow;
      sum += flow * scale[j];
      projected += flow * scale[j] * normal;
    }
    for (let j = 0; j < D; j++) {
      const normal = (source[from + j] - average) * inverse;
      target[from + j] = inverse * (upstream[from + j] * scale[j] - sum / D - (normal * projected) / D);
    }
  }
  floats(dgamma).set(scaleGrad);
  floats(dbeta).set(shiftGrad);
}
