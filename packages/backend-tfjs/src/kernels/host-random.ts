// random and dropout on the host: Threefry-2x32-20 (Salmon et al., SC 2011) written out flat, since it runs once per
// two elements of every dropout mask. Bit-equal to `fillUniform` of core, which stays the readable definition.
import { type FusedKernels, type RequiredKernels } from '@xmoe/core';
import { streamCounter } from '@xmoe/core/backend';
import type { HostArray } from '../box.js';
import type { Memory } from '../memory.js';

/** The two words of the last block. A typed array, because int32 in a module variable would be boxed at every store. */
const words = new Int32Array(2);

/** Leaves block `index` of the stream under (k0, k1) in `words`; k2 = k0 ^ k1 ^ parity. */
function block(k0: number, k1: number, k2: number, index: number, stream: number): void {
  let a = ((index | 0) + k0) | 0;
  let b = (streamCounter(stream, index) + k1) | 0;
  a = (a + b) | 0;
  b = ((b << 13) | (b >>> 19)) ^ a;
  a = (a + b) | 0;
  b = ((b << 15) | (b >>> 17)) ^ a;
  a = (a + b) | 0;
  b = ((b << 26) | (b >>> 6)) ^ a;
  a = (a + b) | 0;
  b = ((b << 6) | (b >>> 26)) ^ a;
  a = (a + k1) | 0;
  b = (b + k2 + 1) | 0;
  a = (a + b) | 0;
  b = ((b << 17) | (b >>> 15)) ^ a;
  a = (a + b) | 0;
  b = ((b << 29) | (b >>> 3)) ^ a;
  a = (a + b) | 0;
  b = ((b << 16) | (b >>> 16)) ^ a;
  a = (a + b) | 0;
  b = ((b << 24) | (b >>> 8)) ^ a;
  a = (a + k2) | 0;
  b = (b + k0 + 2) | 0;
  a = (a + b) | 0;
  b = ((b << 13) | (b >>> 19)) ^ a;
  a = (a + b) | 0;
  b = ((b << 15) | (b >>> 17)) ^ a;
  a = (a + b) | 0;
  b = ((b << 26) | (b >>> 6)) ^ a;
  a = (a + b) | 0;
  b = ((b << 6) | (b >>> 26)) ^ a;
  a = (a + k0) | 0;
  b = (b + k1 + 3) | 0;
  a = (a + b) | 0;
  b = ((b << 17) | (b >>> 15)) ^ a;
  a = (a + b) | 0;
  b = ((b << 29) | (b >>> 3)) ^ a;
  a = (a + b) | 0;
  b = ((b << 16) | (b >>> 16)) ^ a;
  a = (a + b) | 0;
  b = ((b << 24) | (b >>> 8)) ^ a;
  a = (a + k1) | 0;
  b = (b + k2 + 4) | 0;
  a = (a + b) | 0;
  b = ((b << 13) | (b >>> 19)) ^ a;
  a = (a + b) | 0;
  b = ((b << 15) | (b >>> 17)) ^ a;
  a = (a + b) | 0;
  b = ((b << 26) | (b >>> 6)) ^ a;
  a = (a + b) | 0;
  b = ((b << 6) | (b >>> 26)) ^ a;
  a = (a + k2) | 0;
  b = (b + k0 + 5) | 0;
  words[0] = a;
  words[1] = b;
}

const SCALE = 2 ** -24;

/** out[at + i] = uniform(key, stream)[start + i] for i < length; `start` even. */
export function uniformRun(key: HostArray, stream: number, start: number, out: HostArray, at: number, length: number): void {
  const k0 = key[0] | 0;
  const k1 = key[1] | 0;
  const k2 = k0 ^ k1 ^ 0x1bd11bda;
  for (let i = 0; i < length; i += 2) {
    block(k0, k1, k2, (start + i) / 2, stream);
    out[at + i] = (words[0] >>> 8) * SCALE;
    if (i + 1 < length) out[at + i + 1] = (words[1] >>> 8) * SCALE;
  }
}

/** z[i] = x[i] / (1 − rate) where uniform(key, stream)[start + i] ≥ rate (as float32), else 0; `z` may be `x`. */
export function dropoutRun(key: HostArray, stream: number, rate: number, start: number, x: HostArray, z: HostArray, length: number): void {
  const k0 = key[0] | 0;
  const k1 = key[1] | 0;
  const k2 = k0 ^ k1 ^ 0x1bd11bda;
  const limit = Math.fround(rate);
  const scale = 1 / (1 - rate);
  let i = 0;
  if (start % 2 === 1 && length > 0) {
    block(k0, k1, k2, (start - 1) / 2, stream);
    z[0] = (words[1] >>> 8) * SCALE >= limit ? x[0] * scale : 0;
    i = 1;
  }
  for (; i < length; i += 2) {
    block(k0, k1, k2, (start + i) / 2, stream);
    z[i] = (words[0] >>> 8) * SCALE >= limit ? x[i] * scale : 0;
    if (i + 1 < length) z[i + 1] = (words[1] >>> 8) * SCALE >= limit ? x[i + 1] * scale : 0;
  }
}

export function hostRandom(memory: Memory): Pick<RequiredKernels, 'random'> & Pick<FusedKernels, 'dropout'> {
  return {
    random: ({ key }, { out }, { stream }) => memory.run([out], [key], ([z], [pair]) => uniformRun(pair, stream, 0, z, 0, z.length)),
    dropout: ({ x, key }, { out }, { rate, stream }) =>
      memory.run([out], [x, key], ([z], [source, pair]) => dropoutRun(pair, stream, rate, 0, source, z, z.length)),
  };
}
