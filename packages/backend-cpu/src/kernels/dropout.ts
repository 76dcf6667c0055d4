// dropout. The mask is a function of (key, stream, index): the backward pass makes it again instead of keeping it.
import { type KernelAttributes, type KernelInputs, type KernelOutputs } from '@xmoe/core';
import { fillUniform } from '@xmoe/core/backend';
import { floats, uint32s } from '../storage.js';

/** `x` / (1 − rate) or 0 per element. The rate is compared as float32, as every device does. */
export function dropout({ x, key }: KernelInputs<'dropout'>, { out }: KernelOutputs<'dropout'>, { rate, stream }: KernelAttributes<'dropout'>): void {
  const [source, target, words] = [floats(x), floats(out), uint32s(key)];
  const limit = Math.fround(rate);
  const uniform = new Float64Array(Math.min(CHUNK, source.length));
  for (let start = 0; start < source.length; start += CHUNK) {
    const count = Math.min(CHUNK, source.length - start);
    fillUniform([words[0], words[1]], stream, uniform.subarray(0, count), start);
    for (let i = 0; i < count; i++) target[start + i] = uniform[i] >= limit ? source[start + i] / (1 - rate) : 0;
  }
}

const CHUNK = 4096;
