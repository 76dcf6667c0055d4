// Every gradient of the reference layer against central differences, for every router, path and activation; and the
// forward pass against a dense mixture.
import { describe, expect, it } from 'vitest';
import { foldIn, hostNormal, randomKey } from '@xmoe/core';
import { type FlatLogits, type Routing, routeBase, routeHash, routeThreshold, routeTopK, routeUniform } from '@xmoe/routers/reference';
import {
  type DispatchPath,
  type ExpertActivation,
  type MoeLayerInput,
  activationOf,
  moeLayerGradients,
  moeLayerReference,
} from '@xmoe/moe/reference';
import { routeExpertChoice } from '../expert-choice.js';

const [T, N, d, s] = [7, 4, 3, 5];
const mask = [1, 1, 0, 1, 1, 1, 1];
const precision = 'float64';
const normal = (name: string, length: number): Float64Array => Float64Array.from(hostNormal(foldIn(randomKey(5), name), length));

const ROUTERS: Record<string, (logits: FlatLogits) => Routing> = {
  threshold: (logits) => routeThreshold(logits, { threshold: 0.7, mask, precision }),
  'threshold, re-normalised': (logits) => routeThreshold(logits, { threshold: 0.7, renormalize: true, mask, precision }),
  'top-2': (logits) => routeTopK(logits, { k: 2, mask, precision }),
  BASE: (logits) => routeBase(logits, { training: true, mask, precision }),
  hash: () => routeHash([0, 1, 2, 3, 0, 1, 1], { experts: N, map: [3, 1, 0, 2], mask }),
  uniform: (logits) => routeUniform(logits, { k: 3, mask, precision }),
  'expert choice, some left to none': (logits) => routeExpertChoice(logits, { capacity: 1, mask, precision }),
  'uniform without a gate': (logits) => routeUniform(logits, { k: 3, gate: false, mask, precision }),
};

function inputFor(router: string, dispatch: DispatchPath, activation: ExpertActivation): MoeLayerInput {
  const parameters = {
    routerWeight: normal('router', d * N),
    w1: normal('w1', N * d * s),
    b1: normal('b1', N * s),
    w2: normal('w2', N * s * d),
    b2: normal('b2', N * d),
  };
  return { T, N, d, s, x: normal('x', T * d), parameters, route: ROUTERS[router], dispatch, activation, capacityFactor: 1.2, minCapacity: 1 };
}

const coefficients = { balance: 0.3, z: 0.05 };
const upstream = normal('upstream', T * d);

function lossOf(input: MoeLayerInput): number {
  const { y, routing } = moeLayerReference(input);
  const main = y.reduce((sum, value, index) => sum + value * upstream[index], 0);
  return main + coefficients.balance * routing.balanceLoss + coefficients.z * routing.zLoss;
}

/** The loss's central differences by one array of the input. */
function differences(input: MoeLayerInput, values: Float64Array): number[] {
  const step = 1e-5;
  return Array.from(values.keys(), (index) => {
    const kept = values[index];
    values[index] = kept + step;
    const above = lossOf(input);
    values[index] = kept - step;
    const below = lossOf(input);
    values[index] = kept;
    return (above - below) / (2 * step);
  });
}

describe('gradients equal central differences', () => {
  const cases = Object.keys(ROUTERS).flatMap((router) =>
    (['padded', 'grouped', 'budget'] as const).map((dispatch) => ({ router, dispatch, activation: 'gelu-tanh' as ExpertActivation })),
  );
  cases.push({ router: 'threshold', dispatch: 'padded', activation: 'gelu-erf' }, { router: 'threshold', dispatch: 'padded', activation: 'relu' });

  it.each(cases)('$router, $dispatch, $activation', ({ router, dispatch, activation }) => {
    const input = inputFor(router, dispatch, activation);
    const gradients = moeLayerGradients(input, upstream, coefficients);
    const arrays = { x: input.x, ...input.parameters } as Record<keyof typeof gradients, Float64Array>;
    for (const [name, values] of Object.entries(arrays) as [keyof typeof gradients, Float64Array][]) {
      differences(input, values).forEach((expected, index) => {
        expect(Math.abs(gradients[name][index] - expected), `${name}[${index}]`).toBeLessThan(1e-7 * (1 + Math.abs(expected)));
      });
    }
    expect(gradients.x.subarray(2 * d, 3 * d).every((value) => value === 0)).toBe(true); // token 2 is padding
  });
});

describe('forward', () => {
  it('t = 1 without dropping is the dense mixture of all experts', () => {
    const input = { ...inputFor('threshold', 'grouped', 'relu'), route: (logits: FlatLogits) => routeThreshold(logits, { threshold: 1, precision }) };
    const { y, routing, combineWeights } = moeLayerReference(input);
    expect(combineWeights).toEqual(routing.probabilities);
    const { x, parameters } = input;
    for (let token = 0; token < T; token++) {
      for (let i = 0; i < d; i++) {
        let expected = 0;
        for (let e = 0; e < N; e++) {
          const hidden = Array.from({ length: s }, (_, j) => {
            const z = [0, 1, 2].reduce((sum, k) => sum + x[token * d + k] * parameters.w1[e * d * s + k * s + j], parameters.b1[e * s + j]);
            return Math.max(0, z);
          });
          const out = hidden.reduce((sum, h, j) => sum + h * parameters.w2[e * s * d + j * d + i], parameters.b2[e * d + i]);
          expected += routing.probabilities[token * N + e] * out;
        }
        expect(y[token * d + i]).toBeCloseTo(expected, 10);
      }
    }
  });

  it('padding and dropped tokens get exactly 0', () => {
    const { y, plan } = moeLayerReference(inputFor('top-2', 'padded', 'gelu-tanh'));
    const served = new Set(plan.kept.map(([token]) => token));
    expect(served.has(2)).toBe(false);
    y.forEach((value, index) => {
      if (!served.has(Math.floor(index / d))) expect(value).toBe(0);
    });
  });

  it('refuses arrays of the wrong length, a router of another shape and an unknown activation', () => {
    const input = inputFor('threshold', 'padded', 'relu');
    expect(() => moeLayerReference({ ...input, x: [1] })).toThrow(/x has 1 numbers, its shape is \[7, 3\]/);
    expect(() => moeLayerReference({ ...input, parameters: { ...input.parameters, w2: [] } })).toThrow(/w2 has 0 numbers, its shape is \[4, 5, 3\]/);
    expect(() => moeLayerReference({ ...input, route: () => routeTopK([[1, 2]], { k: 1 }) })).toThrow(/returned \[1, 2\] for logits \[7, 4\]/);
    expect(() => moeLayerReference({ ...input, activation: 'gelu' as ExpertActivation })).toThrow(/unknown activation "gelu"/);
    expect(() => moeLayerGradients(input, [1])).toThrow(/upstream has 1 numbers/);
  });
});

describe('activations', () => {
  it('GELU by erf at known points, and the tanh form close to it', () => {
    // Φ(1) = 0.8413447460685429, Φ(−2) = 0.02275013194817921, Φ(3) = 0.9986501019683699
    const { value } = activationOf('gelu-erf');
    for (const [z, phi] of [[0, 0.5], [1, 0.8413447460685429], [-2, 0.02275013194817921], [3, 0.9986501019683699], [40, 1], [-40, 0]]) {
      expect(value(z)).toBeCloseTo(z * phi, 13);
    }
    for (let z = -6; z <= 6; z += 0.1) expect(Math.abs(activationOf('gelu-tanh').value(z) - value(z))).toBeLessThan(5e-4);
  });
});
