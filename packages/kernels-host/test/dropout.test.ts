// Dropout that begins beyond 2³² elements, as that of a late head of attention does.
import { fillUniform, type RandomKey } from '@xmoe/core/backend';
import { dropoutRun } from '@xmoe/kernels-host';
import { expect, it } from 'vitest';

const KEY: RandomKey = [0x12345678, 0x9abcdef0];
const STREAM = 0xfedcba98;

/** One element at a time, by core. */
function uniformAt(index: number): number {
  const out = new Float64Array(1);
  fillUniform(KEY, STREAM, out, index);
  return out[0];
}

it.each([0, 1, 2 ** 32 - 5, 2 ** 32, 2 ** 33 - 5, 2 ** 33, 2 ** 41 + 3])('elements from %i on are dropped by their own numbers', (first) => {
  const out = new Float32Array(21).fill(3);
  dropoutRun(Uint32Array.from(KEY), STREAM, 0.25, first, out, out, out.length);
  expect([...out]).toEqual(Array.from({ length: 21 }, (_, index) => (uniformAt(first + index) < 0.25 ? 0 : 4)));
});

it('goes on where a piece ends', () => {
  const ones = new Float32Array(9001).fill(1);
  const [whole, parts] = [new Float32Array(9001), new Float32Array(9001)];
  const key = Uint32Array.from(KEY);
  dropoutRun(key, STREAM, 0.5, 7, ones, whole, 9001);
  dropoutRun(key, STREAM, 0.5, 7, ones, parts, 4099);
  dropoutRun(key, STREAM, 0.5, 7 + 4099, ones, parts.subarray(4099), 9001 - 4099);
  expect(parts).toEqual(whole);
});
