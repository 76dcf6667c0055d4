// Scalar mathematics of the host kernels: erf, GELU and their derivatives, in float64. Not element-wise loops.
import type { Activation } from '@xmoe/core';

// erf(x) / x as a polynomial in x² on [0, 1], and exp(x²)·erfc(x) as one in 1 / (1 + x/2) on [1, 6]: Chebyshev
// interpolation of the Taylor series and of the continued fraction; the error is below 1e-12.
const ERF_NEAR = [
  1.12837916709, -0.376126388896, 0.112837913086, -0.0268661332322, 0.00522378346457, -0.000854263770926, 0.00011956559028,
  -0.0000139093177272, 0.00000105893242053,
];
const ERFC_FAR = [
  0.00000982536956551, 0.281840668241, 0.285025119276, 0.227015788121, 0.263129729588, -0.172241473571, 0.503210031543,
  -0.703047809891, 0.401314239251, -0.0862863556998,
];

function polynomial(coefficients: readonly number[], x: number): number {
  let sum = 0;
  for (let i = coefficients.length - 1; i >= 0; i--) sum = sum * x + coefficients[i];
  return sum;
}

export function erf(x: number): number {
  const magnitude = Math.abs(x);
  if (magnitude <= 1) return x * polynomial(ERF_NEAR, x * x);
  if (magnitude >= 6) return Math.sign(x);
  const far = 1 - Math.exp(-x * x) * polynomial(ERFC_FAR, 1 / (1 + 0.5 * magnitude));
  return x < 0 ? -far : far; // NaN comes through
}

function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

/** 2·sqrt(2/π): GELU's tanh form 0.5·x·(1 + tanh(u)) equals x·sigmoid(2u), u = sqrt(2/π)·(x + 0.044715·x³). */
export const GELU_SLOPE = 2 * Math.sqrt(2 / Math.PI);
export const GELU_CUBIC = 0.044715;

/** Beyond ±20 GELU is x or 0 and its slope 1 or 0, but products of the formulas may be ∞ · 0. */
export const GELU_FAR = 20;

const notFarBelow = (x: number): number => (x < -GELU_FAR ? -GELU_FAR : x); // NaN stays
const near = (x: number): number => (x > GELU_FAR ? GELU_FAR : notFarBelow(x));

const activations: Record<Activation, (x: number) => number> = {
  none: (x) => x,
  relu: (x) => (x > 0 ? x : x === x ? 0 : x),
  'gelu-tanh': (x) => notFarBelow(x) * sigmoid(GELU_SLOPE * (x + GELU_CUBIC * x * x * x)),
  'gelu-erf': (x) => 0.5 * notFarBelow(x) * (1 + erf(x * Math.SQRT1_2)),
};

const derivatives: Record<Activation, (x: number) => number> = {
  none: () => 1,
  relu: (x) => (x > 0 ? 1 : 0),
  'gelu-tanh': (input) => {
    const x = near(input);
    const gate = sigmoid(GELU_SLOPE * (x + GELU_CUBIC * x * x * x));
    return gate + x * gate * (1 - gate) * GELU_SLOPE * (1 + 3 * GELU_CUBIC * x * x);
  },
  'gelu-erf': (x) => 0.5 * (1 + erf(x * Math.SQRT1_2)) + (near(x) * Math.exp(-0.5 * x * x)) / Math.sqrt(2 * Math.PI),
};

export function activationOf(activation: Activation): (x: number) => number {
  return activations[activation];
}

export function derivativeOf(activation: Activation): (x: number) => number {
  return derivatives[activation];
}
