// Bad arguments are refused by name.
import { isXMoEError } from '@xmoe/core';
import { describe, expect, it } from 'vitest';
import { bleuTokenizerFor, corpusBleu, corpusChrf, formatFixed, MetricsError, type BleuOptions } from '../src/index.js';

describe('errors', () => {
  it.each<[string, () => unknown, string]>([
    ['tokenizer', () => corpusBleu(['a'], ['a'], { tokenizer: '14a' } as unknown as BleuOptions), 'bleu: unknown tokenizer "14a"'],
    ['prototype name', () => corpusBleu(['a'], ['a'], { tokenizer: 'toString' } as unknown as BleuOptions), 'unknown tokenizer "toString"'],
    ['smoothing', () => corpusBleu(['a'], ['a'], { smoothing: 'laplace' } as unknown as BleuOptions), 'unknown smoothing "laplace"'],
    ['order', () => corpusBleu(['a'], ['a'], { maxOrder: 0 }), 'maxOrder is 0'],
    ['chrF order', () => corpusChrf(['a'], ['a'], { characterOrder: 0.5 }), 'chrf: characterOrder is 0.5'],
    ['beta', () => corpusChrf(['a'], ['a'], { beta: 0 }), 'beta is 0'],
    ['fewer references', () => corpusBleu(['a', 'b'], ['a']), 'the references have 1 lines and there are 2 hypotheses'],
    ['a short stream', () => corpusBleu(['a', 'b'], [['a', 'b'], ['a']]), 'reference stream 1 has 1 lines'],
    ['no lines', () => corpusBleu([], []), 'no hypotheses'],
    ['no streams', () => corpusChrf(['a'], []), 'no references'],
    ['no reference for a line', () => corpusBleu(['a', 'b'], [['a', null]]), 'hypothesis 1 has no reference'],
    ['no string', () => corpusBleu([null as unknown as string], ['a']), 'hypothesis 0 is null'],
    ['language', () => bleuTokenizerFor('xx'), 'no tokenizer is known for the language code "xx"'],
    ['language without tokenizer', () => bleuTokenizerFor('ja'), 'the tokenizer ja-mecab, which BLEU uses for "ja", is not there'],
  ])('%s', (_, act, message) => {
    let error: unknown;
    try {
      act();
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(MetricsError);
    expect(isXMoEError(error)).toBe(true);
    expect((error as MetricsError).message).toContain(message);
    expect((error as MetricsError).hint).toBeTruthy();
  });

  it('knows the tokenizer of each language', () => {
    expect(['de', 'uk', 'RU', 'he', 'pt-br', 'zh', 'zh_Hans', 'zh-cn', 'en'].map(bleuTokenizerFor)).toEqual([
      '13a', '13a', '13a', '13a', '13a', 'zh', 'zh', 'zh', '13a',
    ]);
  });

  it('prints ties as Python does', () => {
    expect([31.25, 31.35, 0.125, 0.375, 2.5, 99.995, 100].map((value) => formatFixed(value, 1))).toEqual(['31.2', '31.4', '0.1', '0.4', '2.5', '100.0', '100.0']);
    expect([0.125, 0.375, 1.005, 62.5].map((value) => formatFixed(value, 2))).toEqual(['0.12', '0.38', '1.00', '62.50']);
  });
});
