// The vector functions of the compiled kernels against float64: the largest errors that assembly/math.ts states, over dense
// samples, and the values at the ends.
import { afterAll, describe, expect, it } from 'vitest';
import type { UnaryOp } from '@xmoe/core';
import { createWasmBackend } from '@xmoe/backend-cpu';

const variants = ['relaxed', 'simd'] as const;
const backends = new Map(await Promise.all(variants.map(async (variant) => [variant, await createWasmBackend({ threads: 1, variant })] as const)));
afterAll(() => backends.forEach((backend) => backend.dispose()));

function apply(variant: (typeof variants)[number], op: UnaryOp, values: Float32Array): Float32Array {
  const backend = backends.get(variant)!;
  const shape = [values.length];
  const [x, out] = [0, 1].map(() => ({ buffer: backend.allocate('float32', values.length), shape, dtype: 'float32' as const }));
  backend.write(x, values);
  backend.kernels.unary({ x }, { out }, { op });
  const result = backend.readSync!(out) as Float32Array;
  backend.free(x.buffer);
  backend.free(out.buffer);
  return result;
}

/** erf by its series 2/√π · e^(−x²) · Σ 2ⁿ·x^(2n+1) / (2n+1)!!, all of one sign. */
function erfSeries(x: number): number {
  let [term, sum] = [x, x];
  for (let n = 1; Math.abs(term) > 1e-18 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

/** Distance of neighbouring float32 at `value`. */
function ulp(value: number): number {
  const bits = new Uint32Array(new Float32Array([Math.abs(value)]).buffer)[0];
  const exponent = Math.max(1, bits >>> 23);
  return 2 ** (exponent - 150);
}

/** `count` numbers from low to high, at uneven distances. */
function samples(low: number, high: number, count = 100_003): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => low + ((high - low) * (i + 0.5 * Math.sin(i))) / count);
}

/** Numbers of every magnitude: evenly spaced bit patterns between two positive numbers. */
function magnitudes(low: number, high: number, count = 100_003): Float32Array {
  const [first, last] = new Uint32Array(new Float32Array([low, high]).buffer);
  return new Float32Array(Uint32Array.from({ length: count }, (_, i) => first + Math.floor(((last - first) * i) / count)).buffer);
}

interface Claim {
  readonly op: UnaryOp;
  readonly exact: (x: number) => number;
  /** Stated in assembly/math.ts. */
  readonly bound: number;
  readonly inputs: readonly Float32Array[];
}

const CLAIMS: readonly Claim[] = [
  { op: 'exp', exact: Math.exp, bound: 1, inputs: [samples(-104, 88.72), samples(-1, 1), magnitudes(1e-20, 80)] },
  { op: 'log', exact: Math.log, bound: 1, inputs: [magnitudes(1e-45, 3.4e38), samples(0.5, 2)] },
  { op: 'tanh', exact: Math.tanh, bound: 1.5, inputs: [samples(-10, 10), samples(-1, 1), magnitudes(1e-45, 20)] },
  { op: 'erf', exact: erfSeries, bound: 1.5, inputs: [samples(-5, 5), samples(-1, 1), magnitudes(1e-37, 5)] },
  { op: 'sigmoid', exact: (x) => 1 / (1 + Math.exp(-x)), bound: 2.5, inputs: [samples(-87, 20), samples(-2, 2)] },
];

describe.each(variants)('functions of the %s variant', (variant) => {
  it.each(CLAIMS)('$op is within $bound ulp', ({ op, exact, bound, inputs }) => {
    let worst = 0;
    for (const values of inputs) {
      apply(variant, op, values).forEach((found, i) => {
        const wanted = exact(values[i]);
        const error = Math.abs(found - wanted) / ulp(wanted);
        if (!(error <= worst)) worst = error; // NaN counts
      });
    }
    expect(worst).toBeLessThanOrEqual(bound);
    expect(worst).toBeGreaterThan(0.4); // a comparison of something with itself would show 0
  });

  it.each([
    ['exp', [-Infinity, 0], [Infinity, Infinity], [-200, 0], [89, Infinity], [0, 1], [-103.5, 1.401298464324817e-45], [1e-45, 1]],
    ['log', [0, -Infinity], [Infinity, Infinity], [-1, NaN], [-Infinity, NaN], [1, 0]],
    ['tanh', [-Infinity, -1], [Infinity, 1], [0, 0], [-0, -0], [50, 1]],
    ['erf', [-Infinity, -1], [Infinity, 1], [0, 0], [-0, -0], [7, 1]],
    ['sigmoid', [-Infinity, 0], [Infinity, 1], [0, 0.5], [-200, 0]],
    ['relu', [-1, 0], [-Infinity, 0], [Infinity, Infinity], [2, 2]],
    ['sign', [0, 0], [-0, -0], [-Infinity, -1], [1e-45, 1]],
    ['rsqrt', [0, Infinity], [4, 0.5], [Infinity, 0]],
  ] as const)('%s at the ends', (op, ...pairs) => {
    const given = Float32Array.from([...pairs.map(([x]) => x), NaN]);
    expect(Array.from(apply(variant, op, given))).toEqual([...pairs.map(([, y]) => y), NaN]);
  });

  it('gives an element the same result wherever it stands', () => {
    const values = samples(-3, 3, 37);
    for (const op of ['exp', 'log', 'tanh', 'erf', 'sigmoid'] as const) {
      const together = apply(variant, op, values);
      values.forEach((value, i) => expect(apply(variant, op, Float32Array.of(value))[0]).toBe(together[i]));
    }
  });
});
