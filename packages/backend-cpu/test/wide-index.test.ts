// Dropout of attention beyond 2³³ pairs on the compiled kernels: of so many, causality leaves the last few to compute.
import { createWasmBackend } from '@xmoe/backend-cpu';
import { sizeOf, type DType, type Operand, type RandomKey } from '@xmoe/core';
import { fillUniform } from '@xmoe/core/backend';
import { expect, it } from 'vitest';

const KEY: RandomKey = [0x12345678, 0x9abcdef0];
const STREAM = 0xfedcba98;
const RATE = 0.25;
const [KEYS, D] = [4093, 8];
/** The query whose pairs 2³³ is among. */
const CROSSING = Math.floor(2 ** 33 / KEYS);
const QUERIES = CROSSING + 6;

it('attention drops the pairs around 2³³ that the host drops', async () => {
  const backend = await createWasmBackend({ threads: 1, variant: 'simd' });
  const operand = (shape: number[], values?: ArrayLike<number>, dtype: DType = 'float32'): Operand => {
    const made = { buffer: backend.allocate(dtype, sizeOf(shape)), shape, dtype };
    if (values) backend.write(made, values);
    return made;
  };
  const values = new Float32Array(KEYS * D);
  fillUniform([1, 2], 0, values);
  const q = operand([1, QUERIES, D]);
  backend.kernels.fill({}, { out: q }, { value: 0 });
  const [k, v, key] = [operand([1, KEYS, D], values), operand([1, KEYS, D], values), operand([2], KEY, 'uint32')];
  const [out, stats] = [operand([1, QUERIES, D]), operand([1, QUERIES, 2])];
  backend.kernels.attention!(
    { q, k, v, keyMask: null, key },
    { out, stats }, { heads: 1, causal: true, scale: 1, dropoutRate: RATE, stream: STREAM },
  );
  const last = operand([1, 8, D]);
  backend.kernels.slice({ x: out }, { out: last }, { begin: [0, QUERIES - 8, 0] });
  const found = backend.readSync!(last);
  for (let row = 0; row < 8; row++) {
    const query = QUERIES - 8 + row;
    const seen = query + 1 + KEYS - QUERIES;
    const uniform = new Float32Array(seen);
    fillUniform(KEY, STREAM, uniform, query * KEYS);
    for (let d = 0; d < D; d++) {
      const expected = uniform.reduce((sum, value, j) => sum + (value < RATE ? 0 : values[j * D + d]! / (1 - RATE) / seen), 0);
      expect(found[row * D + d], `query ${query}`).toBeCloseTo(expected, 5);
    }
  }
  backend.dispose();
});
