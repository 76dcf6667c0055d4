// The experts of words: tokens joined at white space, in text with and without any.
import { expect, it } from 'vitest';
import type { InspectedText } from '@xmoe/program';
import { wordsOf } from '../src/route-sentence.js';

const routed = (tokens: string[]): InspectedText => ({
  tokens,
  layers: [{ name: 'encoder.h.1', experts: 4, perToken: tokens.map((_, index) => ({ experts: [index, 9], dropped: [], probabilities: [] })) }],
});

it('a word begins at white space and has the experts of all its tokens', () => {
  expect(wordsOf(routed(['Da', 's', ' Ha', 'us', '.', ' ']))).toEqual([
    { text: 'Das', layers: [{ name: 'encoder.h.1', experts: [[0, 9], [1, 9]] }] },
    { text: 'Haus.', layers: [{ name: 'encoder.h.1', experts: [[2, 9], [3, 9], [4, 9]] }] },
  ]);
});

it('in text without white space every token is a word', () => {
  expect(wordsOf(routed(['打', '开', '文件'])).map(({ text }) => text)).toEqual(['打', '开', '文件']);
  // Characters of several tokens.
  expect(wordsOf(routed(['', '打', '开', '', '', '文件', '']))).toMatchObject([
    { text: '打', layers: [{ experts: [[0, 9], [1, 9]] }] },
    { text: '开', layers: [{ experts: [[2, 9]] }] },
    { text: '文件', layers: [{ experts: [[3, 9], [4, 9], [5, 9]] }] },
  ]);
});
