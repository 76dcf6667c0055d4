// Dropout that begins beyond 2³² elements, as that of a late head of attention does.
import { type RandomKey } from '@xmoe/core';
import { fillUniform } from '@xmoe/core/backend';
import { expect, it } from 'vitest';
import { dropoutRun, uniformRun } from '../src/kernels/host-random.js';

const KEY: RandomKey = [0x12345678, 0x9abcdef0];
const STREAM = 0xfedcba98;

it.each([0, 2 ** 32 - 5, 2 ** 32, 2 ** 33 - 5, 2 ** 33, 2 ** 41 + 3])('elements from %i on are those of core', (first) => {
  const words = Uint32Array.from(KEY);
  const expected = new Float32Array(21);
  fillUniform(KEY, STREAM, expected, first);
  const out = new Float32Array(21).fill(3);
  dropoutRun(words, STREAM, 0.25, first, out, out, out.length);
  expect([...out]).toEqual(Array.from(expected, (value) => (value < 0.25 ? 0 : 4)));
  if (first % 2 === 1) return;
  uniformRun(words, STREAM, first, out, 0, out.length);
  expect([...out]).toEqual([...expected]);
});
