// erf and GELU are quicker where results are in single precision, and lose nothing that single precision could hold. That erf keeps 1e-14 in
// double precision is in backend-cpu/test/erf.test.ts.
import { HOST_KERNELS, type FloatArray, type HostView } from '@xmoe/kernels-host';
import { describe, expect, it } from 'vitest';

const X = Array.from({ length: 4001 }, (_, index) => (index - 2000) / 250); // from −8 to 8
const view = (data: FloatArray, shape = [data.length]): HostView => ({ data, shape, dtype: 'float32' });

/** The same kernel in both precisions, on the same numbers: those that single precision holds. */
function both(run: (x: HostView, out: HostView) => void): [single: Float32Array, double: Float64Array] {
  const x = Float32Array.from(X);
  const [single, double] = [new Float32Array(X.length), new Float64Array(X.length)];
  run(view(x, [X.length, 1]), view(single, [X.length, 1]));
  run(view(Float64Array.from(x), [X.length, 1]), view(double, [X.length, 1]));
  return [single, double];
}

describe('results in single precision', () => {
  it('of erf are those of double precision, rounded, within a unit in the last place', () => {
    const [single, double] = both((x, out) => HOST_KERNELS.unary({ x }, { out }, { op: 'erf' }));
    single.forEach((value, index) => expect(Math.abs(value - double[index]!), `erf(${X[index]})`).toBeLessThanOrEqual(2 ** -23 * Math.abs(double[index]!)));
  });

  it('of GELU and its slope too, also far below 0 where 1 + erf would be a difference', () => {
    const [value, exact] = both((x, out) => HOST_KERNELS.biasActivation({ x, bias: null, offsets: null }, { out }, { activation: 'gelu-erf' }));
    const [slope, exactSlope] = both((x, dx) => {
      const dy = { ...x, data: x.data.map(() => 1) as FloatArray };
      HOST_KERNELS.biasActivationGrad({ x, bias: null, offsets: null, dy }, { dx, dbias: null }, { activation: 'gelu-erf' });
    });
    X.forEach((x, index) => {
      if (x < -5) return; // the difference in double precision is no oracle there
      expect(Math.abs(value[index]! - exact[index]!), `gelu(${x})`).toBeLessThanOrEqual(2 ** -23 * Math.abs(exact[index]!));
      expect(Math.abs(slope[index]! - exactSlope[index]!), `gelu'(${x})`).toBeLessThanOrEqual(2 ** -23 * Math.abs(exactSlope[index]!) + 1e-9);
    });
    // 0.5·x·erfc(−x/√2) by its asymptotic series.
    expect(value[X.indexOf(-7)]! / (-7 * 1.279812543885835e-12) - 1).toBeCloseTo(0, 7);
  });

  it('reach their limits', () => {
    const out = new Float32Array(6);
    HOST_KERNELS.unary({ x: view(Float32Array.of(Infinity, -Infinity, NaN, 0, -0, 40)) }, { out: view(out) }, { op: 'erf' });
    expect([...out]).toEqual([1, -1, NaN, 0, -0, 1]);
    HOST_KERNELS.biasActivation({ x: view(Float32Array.of(Infinity, -Infinity, NaN, 0, 40, -40), [6, 1]), bias: null, offsets: null }, { out: view(out, [6, 1]) }, { activation: 'gelu-erf' });
    expect([...out]).toEqual([Infinity, -0, NaN, 0, 40, -0]);
  });
});
