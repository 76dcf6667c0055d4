// dropout. The mask is a function of (key, stream, index): the backward pass makes it again instead of keeping it.
import { fillUniform, type KernelAttributes } from '@xmoe/core/backend';
import { floats, uint32s, type FloatArray, type ViewInputs, type ViewOutputs } from './host-view.js';

/** `x` / (1 − rate) or 0 per element. */
export function dropout({ x, key }: ViewInputs<'dropout'>, { out }: ViewOutputs<'dropout'>, { rate, stream }: KernelAttributes<'dropout'>): void {
  const source = floats(x);
  dropoutRun(uint32s(key), stream, rate, 0, source, floats(out), source.length);
}

/**
 * target[i] = source[i] / (1 − rate) where uniform(key, stream)[first + i] ≥ rate, else 0; the two may be one array. The rate is compared as
 * float32, as every device does.
 */
export function dropoutRun(key: Uint32Array, stream: number, rate: number, first: number, source: FloatArray, target: FloatArray, length: number): void {
  const limit = Math.fround(rate);
  const uniform = new Float64Array(Math.min(CHUNK, length));
  for (let start = 0; start < length; start += CHUNK) {
    const count = Math.min(CHUNK, length - start);
    fillUniform([key[0], key[1]], stream, count === uniform.length ? uniform : uniform.subarray(0, count), first + start);
    for (let i = 0; i < count; i++) target[start + i] = uniform[i] >= limit ? source[start + i] / (1 - rate) : 0;
  }
}

const CHUNK = 4096;
