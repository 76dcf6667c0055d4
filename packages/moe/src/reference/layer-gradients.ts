// All gradients of the reference MoE layer by the chain rule, claim by claim, in float64. The choice of experts has no
// gradient; the weights and the auxiliary losses do.
import { XMoEError } from '@xmoe/core';
import { type Routing, countRealTokens, rowLogSumExp, topChoiceShare } from '@xmoe/routers/reference';
import { activationOf } from './activation.js';
import { type MoeLayerInput, type MoeLayerOutput, type MoeParameters, moeLayerReference, runExpert } from './layer.js';

export interface LossCoefficients {
  /** Of the balance loss. Default 0.01. */
  readonly balance?: number;
  /** Of the router z-loss. Default 0. */
  readonly z?: number;
}

/** Gradients in the shapes of what they belong to. */
export interface MoeGradients extends MoeParameters<Float64Array> {
  /** [T, d]. */
  readonly x: Float64Array;
}

/**
 * The gradients of Σ y·upstream + balance·balanceLoss + z·zLoss.
 * @param upstream the gradient of the loss by y [T, d]
 * @throws XMoEError `shape` as {@link moeLayerReference}
 */
export function moeLayerGradients(input: MoeLayerInput, upstream: ArrayLike<number>, coefficients: LossCoefficients = {}): MoeGradients {
  const { T, N, gateOutputs: C = N, d, s, x, parameters } = input;
  const forward = moeLayerReference(input);
  if (upstream.length !== T * d) {
    throw new XMoEError('shape', `upstream has ${upstream.length} numbers, its shape is [${T}, ${d}]`, { op: 'moeLayer' });
  }
  const gradients: MoeGradients = {
    x: new Float64Array(T * d),
    routerWeight: new Float64Array(d * C),
    w1: new Float64Array(N * d * s),
    b1: new Float64Array(N * s),
    w2: new Float64Array(N * s * d),
    b2: new Float64Array(N * d),
  };
  const byWeight = new Float64Array(T * N); // [T, N]
  for (const [token, expert, , weight] of forward.plan.kept) {
    byWeight[token * N + expert] = addExpertGradients(input, upstream, gradients, token, expert, weight);
  }
  const byLogits = logitGradients(forward, byWeight, coefficients); // [T, C]
  for (let token = 0; token < T; token++) {
    for (let i = 0; i < d; i++) {
      for (let column = 0; column < C; column++) {
        gradients.x[token * d + i] += byLogits[token * C + column] * parameters.routerWeight[i * C + column];
        gradients.routerWeight[i * C + column] += byLogits[token * C + column] * x[token * d + i];
      }
    }
  }
  return gradients;
}

/** Adds what one kept claim contributes to x, W1, b1, W2, b2. @returns the gradient by the claim's weight */
function addExpertGradients(
  input: MoeLayerInput,
  upstream: ArrayLike<number>,
  gradients: MoeGradients,
  token: number,
  expert: number,
  weight: number,
): number {
  const { d, s, x, parameters } = input;
  const { slope } = activationOf(input.activation ?? 'gelu-tanh');
  const { before, hidden, output } = runExpert(input, token, expert);
  let byWeight = 0;
  const byHidden = new Float64Array(s);
  for (let i = 0; i < d; i++) {
    const byOutput = weight * upstream[token * d + i];
    byWeight += output[i] * upstream[token * d + i];
    gradients.b2[expert * d + i] += byOutput;
    for (let j = 0; j < s; j++) {
      gradients.w2[(expert * s + j) * d + i] += hidden[j] * byOutput;
      byHidden[j] += parameters.w2[(expert * s + j) * d + i] * byOutput;
    }
  }
  for (let j = 0; j < s; j++) {
    const byBefore = byHidden[j] * slope(before[j]);
    gradients.b1[expert * s + j] += byBefore;
    for (let i = 0; i < d; i++) {
      gradients.w1[(expert * d + i) * s + j] += x[token * d + i] * byBefore;
      gradients.x[token * d + i] += parameters.w1[(expert * d + i) * s + j] * byBefore;
    }
  }
  return byWeight;
}

/** The gradient by the logits [T, C] from the weights' and the auxiliary losses' gradients. */
function logitGradients(forward: MoeLayerOutput, byWeight: Float64Array, { balance = 0.01, z = 0 }: LossCoefficients): Float64Array {
  const { routing, logits } = forward;
  const { tokens: T, experts: N, mask, probabilities, weightSource, nulls, balancedByState = false } = routing;
  const C = nulls?.gate.experts ?? N;
  const byLogits = new Float64Array(T * C);
  if (weightSource === 'constant') return byLogits;
  const real = countRealTokens(routing);
  const share = topChoiceShare(routing);
  const bySigmoid = weightSource.startsWith('sigmoid');
  const ofBalance = bySigmoid || balancedByState ? 0 : balance;
  const all = nulls?.gate.probabilities ?? probabilities; // [T, C]
  for (let token = 0; token < T; token++) {
    if (mask[token] === 0) continue;
    const row = logits.subarray(token * C, token * C + C);
    const p = all.subarray(token * C, token * C + C);
    const logSum = rowLogSumExp(row).value;
    const scores = bySigmoid ? row.map(sigmoid) : p;
    const byScore = scoreGradients(routing, scores, token, byWeight);
    const fromWeights = bySigmoid ? byScore.map((gradient, i) => gradient * scores[i] * (1 - scores[i])) : throughSoftmax(p, byScore);
    // d balanceLoss / d p_i = N · f_i / T, the same for every token
    const fromBalance = throughSoftmax(probabilities.subarray(token * N, token * N + N), share.map((f) => (ofBalance * N * f) / real));
    for (let i = 0; i < C; i++) byLogits[token * C + i] = fromWeights[i] + (fromBalance[i] ?? 0) + (z * 2 * logSum * p[i]) / real;
  }
  return byLogits;
}

/** The gradient by logits from that by their softmax p. */
function throughSoftmax(p: Float64Array, byP: Float64Array): Float64Array {
  const mean = byP.reduce((sum, gradient, i) => sum + gradient * p[i], 0);
  return p.map((own, i) => own * (byP[i] - mean));
}

/** The gradient by the scores [C] of one token, of its weights: they are scores, or scores over the sum of the chosen. */
function scoreGradients({ experts: N, maxChoices: K, counts, expertIds, weightSource, nulls }: Routing, scores: Float64Array, token: number, byWeight: Float64Array): Float64Array {
  const byOwn = new Float64Array(scores.length);
  if (weightSource.startsWith('equal')) return byOwn;
  byOwn.set(byWeight.subarray(token * N, token * N + N));
  if (!weightSource.endsWith('-share')) return byOwn;
  const chosen = [...expertIds.subarray(token * K, token * K + counts[token]), ...(nulls?.ids[token] ?? [])];
  const total = chosen.reduce((sum, expert) => sum + scores[expert], 0);
  const common = chosen.reduce((sum, expert) => sum + (byOwn[expert] * scores[expert]) / total, 0);
  return byOwn.map((gradient, i) => (chosen.includes(i) ? (gradient - common) / total : 0));
}

function sigmoid(logit: number): number {
  return 1 / (1 + Math.exp(-logit));
}
