// dropout, and the random numbers that it shares with attention. The mask is a function of (key, stream, index): the
// backward pass makes it again instead of keeping it.
import { threefry2x32, type Operand } from '@xmoe/core';
import { floats, uint32s } from '../storage.js';

const block = new Uint32Array(2);

/** out[i] = uniform(key, stream)[start + i] for i < count. */
export function uniformRun(key: Uint32Array, stream: number, start: number, count: number, out: Float64Array): void {
  let counter = -1;
  for (let i = 0; i < count; i++) {
    const index = start + i;
    if (index >>> 1 !== counter) {
      counter = index >>> 1;
      threefry2x32(key[0], key[1], counter, stream, block);
    }
    out[i] = (block[index & 1] >>> 8) * 2 ** -24;
  }
}

/** `x` / (1 − rate) or 0 per element. The rate is compared as float32, as every device does. */
export function dropout(x: Operand, key: Operand, out: Operand, { rate, stream }: { rate: number; stream: number }): void {
  const [source, target, words] = [floats(x), floats(out), uint32s(key)];
  const limit = Math.fround(rate);
  const uniform = new Float64Array(Math.min(CHUNK, source.length));
  for (let start = 0; start < source.length; start += CHUNK) {
    const count = Math.min(CHUNK, source.length - start);
    uniformRun(words, stream, start, count, uniform);
    for (let i = 0; i < count; i++) target[start + i] = uniform[i] >= limit ? source[start + i] / (1 - rate) : 0;
  }
}

const CHUNK = 4096;
