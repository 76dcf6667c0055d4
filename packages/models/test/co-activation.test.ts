// Groups of hidden units that are active together.
import { coActivationOrder } from '@xmoe/models';
import { expect, it } from 'vitest';

/** Units of `pattern` are active where its digit stands: '0101' is one of four tokens. */
const activations = (patterns: readonly string[]): Float32Array => {
  const tokens = patterns[0]!.length;
  return Float32Array.from({ length: tokens * patterns.length }, (_, index) => {
    const token = Math.floor(index / patterns.length);
    return Number(patterns[index % patterns.length]![token]) || -1; // below 0 is not active
  });
};
const groups = (patterns: readonly string[], experts: number): number[][] => {
  const order = [...coActivationOrder(activations(patterns), { units: patterns.length, experts })];
  return Array.from({ length: experts }, (_, expert) => order.slice((expert * patterns.length) / experts, ((expert + 1) * patterns.length) / experts).sort((a, b) => a - b));
};

it('puts units together that the same tokens activate, the most active first', () => {
  expect(groups(['1100', '0033', '2200', '0011', '0022', '4400'], 2)).toEqual([[0, 2, 5], [1, 3, 4]]);
});

it('takes each unit once, also where nothing is active or all are alike', () => {
  for (const patterns of [['00', '00', '00', '00'], ['11', '11', '11', '11'], ['10', '00', '11', '01']]) {
    expect(groups(patterns, 2).flat().sort((a, b) => a - b)).toEqual([0, 1, 2, 3]);
  }
  expect(groups(['1', '2'], 2)).toEqual([[1], [0]]);
});
