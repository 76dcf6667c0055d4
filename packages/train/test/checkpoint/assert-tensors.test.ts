// Every missing, unexpected and misshapen tensor is named, and missing experts are listed by layer.
import { describe, expect, it } from 'vitest';
import { assertTensors, type ExpectedTensor } from '../../src/checkpoint/assert-tensors.js';

const tensor = (name: string, shape: number[] = [2, 3]): ExpectedTensor => ({ name, shape, dtype: 'float32' });
const experts = [0, 1, 2].flatMap((i) => [tensor(`h.1.moe.experts.${i}.w1`), tensor(`h.1.moe.experts.${i}.w2`)]);

describe('assertTensors', () => {
  it('accepts exactly the expected tensors in any order', () => {
    expect(() => assertTensors(experts, [...experts].reverse())).not.toThrow();
  });

  it('lists the missing experts of each layer', () => {
    const got = experts.filter(({ name }) => !/experts\.[12]\.w1/.test(name));
    expect(() => assertTensors(experts, got, { where: 'run/step-1' })).toThrow(
      'run/step-1 does not fit the model: missing experts of h.1.moe.experts: 1, 2; ' +
        'missing: h.1.moe.experts.1.w1, h.1.moe.experts.2.w1',
    );
  });

  it('sees experts lost from a stacked tensor', () => {
    const stacked = tensor('h.1.moe.experts.w1', [8, 4, 6]);
    expect(() => assertTensors([stacked], [{ ...stacked, shape: [7, 4, 6] }])).toThrow(
      'h.1.moe.experts.w1 holds 7 experts, not 8',
    );
  });

  it('names wrong shapes, dtypes and unexpected tensors all at once', () => {
    const expected = [tensor('a'), tensor('b'), tensor('c', [])];
    const got = [tensor('a', [3, 2]), { ...tensor('b'), dtype: 'float16' as const }, tensor('c', [1]), tensor('d')];
    expect(() => assertTensors(expected, got)).toThrow(
      'a has the shape [3, 2], not [2, 3]; b is float16, not float32; c has the shape [1], not []; unexpected: d',
    );
    expect(() => assertTensors([], [tensor('d')], { allowUnexpected: true })).not.toThrow();
  });
});
