// attention against its definition, one query at a time, and its gradient against central differences: causal, padded,
// with more or fewer keys than queries, and with dropout.
import { describe, expect, it } from 'vitest';
import type { AttentionOptions, Operand } from '@xmoe/core';
import { createBench, distance, dot, numericalGradient, randoms } from './support.js';

const { kernels, make, read } = createBench();
const KEY = [123456789, 987654321];

interface Setting {
  B: number; heads: number; Tq: number; Tk: number; D: number; causal: boolean; dropoutRate: number; mask?: number[];
}

const SETTINGS: [string, Setting][] = [
  ['plain', { B: 2, heads: 2, Tq: 3, Tk: 4, D: 3, causal: false, dropoutRate: 0 }],
  ['causal over two blocks of rows', { B: 1, heads: 1, Tq: 35, Tk: 35, D: 2, causal: true, dropoutRate: 0 }],
  ['causal with a cache', { B: 1, heads: 2, Tq: 2, Tk: 5, D: 3, causal: true, dropoutRate: 0 }],
  ['queries before the first key', { B: 1, heads: 1, Tq: 5, Tk: 2, D: 3, causal: true, dropoutRate: 0 }],
  ['padded, one row wholly', { B: 2, heads: 2, Tq: 3, Tk: 3, D: 2, causal: false, dropoutRate: 0, mask: [1, 0, 1, 0, 0, 0] }],
  ['dropout', { B: 1, heads: 2, Tq: 4, Tk: 4, D: 3, causal: true, dropoutRate: 0.4 }],
];

/** The dropout factors of all probabilities, from the random primitive. */
function dropoutFactors({ B, heads, Tq, Tk, dropoutRate }: Setting): number[] {
  const uniform = make([B * heads, Tq, Tk]);
  kernels.random({ key: make([2], KEY, 'uint32') }, { out: uniform }, { stream: 9 });
  return read(uniform).map((value) => (value < dropoutRate ? 0 : 1 / (1 - dropoutRate)));
}

function naiveAttention(s: Setting, q: Float64Array, k: Float64Array, v: Float64Array): number[] {
  const factors = dropoutFactors(s);
  const out: number[] = [];
  for (let head = 0; head < s.B * s.heads; head++) {
    for (let i = 0; i < s.Tq; i++) {
      const seen = (j: number): boolean =>
        (!s.causal || j <= i + s.Tk - s.Tq) && (s.mask === undefined || s.mask[Math.floor(head / s.heads) * s.Tk + j] === 1);
      const weights = Array.from({ length: s.Tk }, (_, j) => {
        const [row, column] = [(head * s.Tq + i) * s.D, (head * s.Tk + j) * s.D];
        return seen(j) ? Math.exp(0.7 * dot(q.slice(row, row + s.D), k.slice(column, column + s.D))) : 0;
      });
      const sum = weights.reduce((total, weight) => total + weight, 0);
      for (let d = 0; d < s.D; d++) {
        let value = 0;
        for (let j = 0; j < s.Tk; j++) {
          if (sum > 0) value += (weights[j] / sum) * factors[(head * s.Tq + i) * s.Tk + j] * v[(head * s.Tk + j) * s.D + d];
        }
        out.push(value);
      }
    }
  }
  return out;
}

function prepare(s: Setting): {
  data: [Float64Array, Float64Array, Float64Array]; shapes: [number[], number[], number[]];
  mask: Operand | null; key: Operand | null; options: AttentionOptions;
} {
  const [queries, keys] = [[s.B * s.heads, s.Tq, s.D], [s.B * s.heads, s.Tk, s.D]];
  const size = s.B * s.heads * s.D;
  return {
    data: [randoms(size * s.Tq, 21), randoms(size * s.Tk, 22), randoms(size * s.Tk, 23)],
    shapes: [queries, keys, keys],
    mask: s.mask ? make([s.B, s.Tk], s.mask, 'bool') : null,
    key: s.dropoutRate > 0 ? make([2], KEY, 'uint32') : null,
    options: { heads: s.heads, causal: s.causal, scale: 0.7, dropoutRate: s.dropoutRate, stream: 9 },
  };
}

describe.each(SETTINGS)('attention, %s', (_, setting) => {
  const { data, shapes, mask, key, options } = prepare(setting);
  const [q, k, v] = data.map((values, index) => make(shapes[index], values));
  const statsShape = [...shapes[0].slice(0, 2), 2];

  it('is the weighted mean of values', () => {
    const out = make(shapes[0]);
    kernels.attention({ q, k, v, keyMask: mask, key }, { out, stats: make(statsShape) }, options);
    expect(distance(read(out), naiveAttention(setting, ...data))).toBeLessThan(1e-13);
  });

  it('has the gradient of central differences', () => {
    const [out, stats, grads] = [make(shapes[0]), make(statsShape), shapes.map((shape) => make(shape))];
    const dout = randoms(data[0].length, 24);
    kernels.attention({ q, k, v, keyMask: mask, key }, { out, stats }, options);
    kernels.attentionGrad(
      { q, k, v, keyMask: mask, key, out, stats, dout: make(shapes[0], dout) },
      { dq: grads[0], dk: grads[1], dv: grads[2] }, options,
    );
    data.forEach((values, index) => {
      const wanted = numericalGradient((moved) => {
        const operands = [q, k, v];
        operands[index] = make(shapes[index], moved);
        const result = make(shapes[0]);
        kernels.attention({ q: operands[0], k: operands[1], v: operands[2], keyMask: mask, key }, { out: result, stats: make(statsShape) }, options);
        return dot(read(result), dout);
      }, values);
      expect(distance(read(grads[index]), wanted), ['dq', 'dk', 'dv'][index]).toBeLessThan(1e-8);
    });
  });
});
