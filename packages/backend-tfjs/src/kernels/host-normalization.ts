// softmax and layer normalisation with their gradients, and sumSquares, on the host. Statistics in float64.
import type { FusedKernels } from '@xmoe/core';
import type { HostArray } from '../box.js';
import type { Memory } from '../memory.js';

/** Softmax of one row of x into z; a row of −∞ gives zeros. */
function softmaxRow(x: HostArray, z: HostArray, start: number, end: number): void {
  let peak = -Infinity;
  for (let i = start; i < end; i++) if (x[i] > peak) peak = x[i];
  if (peak === -Infinity && allMinusInfinity(x, start, end)) {
    z.fill(0, start, end);
    return;
  }
  let sum = 0;
  for (let i = start; i < end; i++) {
    const value = Math.exp(x[i] - peak);
    z[i] = value;
    sum += value;
  }
  const scale = 1 / sum;
  for (let i = start; i < end; i++) z[i] *= scale;
}

export function allMinusInfinity(x: HostArray, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (x[i] !== -Infinity) return false;
  return true;
}

function layerNormGradRow(
  x: HostArray, gamma: HostArray, dy: HostArray, dx: HostArray, start: number, D: number, roundedMean: number, rstd: number,
  dgamma: Float64Array, dbeta: Float64Array,
): void {
  let drift = 0;
  for (let j = 0; j < D; j++) drift += x[start + j] - roundedMean;
  const mean = roundedMean + drift / D;
  let sum = 0; // Σ dy·gamma
  let dot = 0; // Σ dy·gamma·xhat
  for (let j = 0; j < D; j++) {
    const xhat = (x[start + j] - mean) * rstd;
    const upstream = dy[start + j];
    const scaled = upstream * gamma[j];
    sum += scaled;
    dot += scaled * xhat;
    dgamma[j] += upstream * xhat;
    dbeta[j] += upstream;
  }
  sum /= D;
  dot /= D;
  for (let j = 0; j < D; j++) {
    dx[start + j] = rstd * (dy[start + j] * gamma[j] - sum - (x[start + j] - mean) * rstd * dot);
  }
}

type Normalization = 'softmax' | 'softmaxGrad' | 'layerNorm' | 'layerNormGrad' | 'sumSquares';

export function hostNormalization(memory: Memory): Pick<FusedKernels, Normalization> {
  return {
    softmax: ({ x }, { out }) =>
      memory.run([out], [x], ([z], [source]) => {
        const C = x.shape[1];
        for (let start = 0; C > 0 && start < z.length; start += C) softmaxRow(source, z, start, start + C);
      }),
    softmaxGrad: ({ y, dy }, { dx }) =>
      memory.run([dx], [y, dy], ([z], [probability, upstream]) => {
        const C = y.shape[1];
        for (let start = 0; C > 0 && start < z.length; start += C) {
          let dot = 0;
          for (let i = start; i < start + C; i++) dot += probability[i] * upstream[i];
          for (let i = start; i < start + C; i++) z[i] = probability[i] * (upstream[i] - dot);
        }
      }),
    layerNorm: ({ x, gamma, beta }, { out, mean, rstd }, { epsilon }) =>
      memory.run([out, mean, rstd], [x, gamma, beta], ([z, means, scales], [source, slope, shift]) => {
        const [R, D] = x.shape;
        for (let r = 0, start = 0; r < R; r++, start += D) {
          let sum = 0;
          for (let j = 0; j < D; j++) sum += source[start + j];
          const center = D > 0 ? sum / D : 0;
          let squares = 0;
          for (let j = 0; j < D; j++) {
            const deviation = source[start + j] - center;
            squares += deviation * deviation;
          }
          const scale = 1 / Math.sqrt((D > 0 ? squares / D : 0) + epsilon);
          means[r] = center;
          scales[r] = scale;
          for (let j = 0; j < D; j++) z[start + j] = (source[start + j] - center) * scale * slope[j] + shift[j];
        }
      }),
    layerNormGrad: ({ x, gamma, mean, rstd, dy }, { dx, dgamma, dbeta }) =>
      memory.run([dx, dgamma, dbeta], [x, gamma, mean, rstd, dy], ([z, dSlope, dShift], [source, slope, means, scales, upstream]) => {
        const [R, D] = x.shape;
        const slopes = new Float64Array(D);
        const shifts = new Float64Array(D);
        for (let r = 0; r < R; r++) layerNormGradRow(source, slope, upstream, z, r * D, D, means[r], scales[r], slopes, shifts);
        dSlope.set(slopes);
        dShift.set(shifts);
      }),
    sumSquares: ({ parts }, { out }) =>
      memory.run([out], parts, ([z], sources) => {
        let [even, odd] = [0, 0]; // two chains hide the latency of the addition
        for (const source of sources) {
          const paired = source.length & ~1;
          for (let i = 0; i < paired; i += 2) {
            even += source[i] * source[i];
            odd += source[i + 1] * source[i + 1];
          }
          if (paired < source.length) even += source[paired] * source[paired];
        }
        z[0] = even + odd;
      }),
  };
}
