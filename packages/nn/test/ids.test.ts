// The refusal of ids that a model does not have.
import { checkIds } from '@xmoe/nn';
import { isXMoEError } from '@xmoe/core';
import { describe, expect, it } from 'vitest';

const errorOf = (run: () => void): unknown => {
  try {
    run();
  } catch (error) {
    return error;
  }
  return undefined;
};

describe('checkIds', () => {
  it('takes every id of the vocabulary, and negative ones where they mean "none"', () => {
    checkIds('inputs', [], 0);
    checkIds('inputs', Int32Array.of(0, 12), 13);
    checkIds('targets', Int32Array.of(-1, -100, 12), 13, { none: true });
  });

  it.each([[13, 'inputs[1] is 13: no id of a vocabulary of 13'], [-1, 'inputs[1] is -1: no id of a vocabulary of 13'], [2 ** 31 - 1, 'inputs[1] is 2147483647: no id of a vocabulary of 13']])('names %i', (id, message) => {
    const error = errorOf(() => checkIds('inputs', Int32Array.of(0, id), 13));
    expect(isXMoEError(error) && [error.code, error.message]).toEqual(['data', message]);
  });

  it('refuses targets beyond the vocabulary, and NaN', () => {
    expect(() => checkIds('targets', [3, 13], 13, { none: true })).toThrow('targets[1] is 13');
    expect(() => checkIds('targets', [NaN], 13, { none: true })).toThrow('targets[0] is NaN');
  });
});
