// The experts' activations and their derivatives on single numbers, in float64.
import { unknownName } from '@xmoe/core';

/** GELU by its tanh approximation, GELU by erf, or ReLU. */
export type ExpertActivation = 'gelu-tanh' | 'gelu-erf' | 'relu';

interface ActivationPair {
  readonly value: (z: number) => number;
  readonly slope: (z: number) => number;
}

const TANH_SCALE = Math.sqrt(2 / Math.PI);
const TANH_CUBIC = 0.044715;
const tanhInner = (z: number): number => Math.tanh(TANH_SCALE * (z + TANH_CUBIC * z ** 3));

const ACTIVATIONS: Record<ExpertActivation, ActivationPair> = {
  'gelu-tanh': {
    value: (z) => 0.5 * z * (1 + tanhInner(z)),
    slope: (z) => {
      const h = tanhInner(z);
      return 0.5 * (1 + h) + 0.5 * z * (1 - h * h) * TANH_SCALE * (1 + 3 * TANH_CUBIC * z * z);
    },
  },
  'gelu-erf': {
    value: (z) => 0.5 * z * (1 + erf(z / Math.SQRT2)),
    slope: (z) => 0.5 * (1 + erf(z / Math.SQRT2)) + (z * Math.exp((-z * z) / 2)) / Math.sqrt(2 * Math.PI),
  },
  relu: { value: (z) => Math.max(0, z), slope: (z) => (z > 0 ? 1 : 0) },
};

/** The activation of that name and its derivative. @throws XMoEError `config` with the nearest name. */
export function activationOf(name: ExpertActivation): ActivationPair {
  if (!Object.hasOwn(ACTIVATIONS, name)) throw unknownName('moeLayer', 'activation', name, Object.keys(ACTIVATIONS));
  return ACTIVATIONS[name];
}

/**
 * The error function to about 1e-15: 2/√π · e^(−x²) · Σ 2^n x^(2n+1) / (2n+1)!! (Abramowitz & Stegun 7.1.6), whose terms are
 * all of one sign; 1 to double precision beyond |x| = 6.
 */
function erf(x: number): number {
  if (Math.abs(x) >= 6) return Math.sign(x);
  let [term, sum] = [x, x];
  for (let n = 1; Math.abs(term) > Math.abs(sum) * 1e-17; n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return ((2 / Math.sqrt(Math.PI)) * Math.exp(-x * x)) * sum;
}
