// erf against its Maclaurin-like series Σ, which converges everywhere and shares nothing with the rational form.
import { describe, expect, it } from 'vitest';
import { createBench } from './support.js';

/** erf(x) = 2/√π·e^(−x²)·Σ 2ⁿ·x^(2n+1) / (2n+1)!!; all terms have one sign. */
function erfBySeries(x: number): number {
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-20 * Math.abs(sum) && n < 500; n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

describe('erf', () => {
  it('is accurate to 1e-14 in double precision', () => {
    const { kernels, make, read } = createBench();
    const x = Array.from({ length: 1401 }, (_, index) => (index - 700) / 100);
    const out = make([x.length]);
    kernels.unary({ x: make([x.length], x) }, { out }, { op: 'erf' });
    read(out).forEach((value, index) => expect(Math.abs(value - erfBySeries(x[index])), `erf(${x[index]})`).toBeLessThan(1e-14));
  });

  it('reaches its limits', () => {
    const { kernels, make, read } = createBench();
    const out = make([5]);
    kernels.unary({ x: make([5], [Infinity, -Infinity, NaN, 0, 40]) }, { out }, { op: 'erf' });
    expect(read(out)).toEqual([1, -1, NaN, 0, 1]);
  });
});
