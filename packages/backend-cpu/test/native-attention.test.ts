// attention and its gradient where a library makes and reads the scores, against the plain kernels: blocks that are not whole, fewer and more
// keys than queries, rows that see nothing, masks over NaN, dropout.
import { afterAll, describe, expect, it } from 'vitest';
import { sizeOf, type Backend, type DType, type Kernels, type Operand } from '@xmoe/core';
import { createCpuBackend } from '@xmoe/backend-cpu';
import { createNativeBackend } from '@xmoe/backend-cpu/node';
import { testLibrary } from './native-support.js';
import { distance, randoms } from './support.js';

interface Case { readonly heads: number; readonly Tq: number; readonly Tk: number; readonly D: number; readonly causal: boolean; readonly mask: boolean; readonly dropoutRate: number }

/** out, stats, dq, dk and dv on a backend. */
function results(backend: Backend, { heads, Tq, Tk, D, causal, mask, dropoutRate }: Case): ArrayLike<number>[] {
  const kernels = backend.kernels as Kernels;
  const perBatch = 2;
  const make = (shape: readonly number[], data: ArrayLike<number>, dtype: DType = 'float32'): Operand => {
    const operand = { buffer: backend.allocate(dtype, sizeOf(shape)), shape, dtype };
    backend.write(operand, data);
    return operand;
  };
  const hidden = (row: number): boolean => mask && row % 3 === 1;
  const rows = (T: number, seed: number, hides: boolean): Operand =>
    make([heads, T, D], Float32Array.from(randoms(heads * T * D, seed), (value, i) => (hides && hidden(Math.floor(i / D) % T) ? NaN : value)));
  const [q, k, v, dout] = [rows(Tq, 1, false), rows(Tk, 2, true), rows(Tk, 3, true), rows(Tq, 4, false)];
  const keyMask = mask ? make([heads / perBatch, Tk], Array.from({ length: (heads / perBatch) * Tk }, (_, i) => Number(!hidden(i % Tk))), 'bool') : null;
  const key = dropoutRate > 0 ? make([2], [7, 9], 'uint32') : null;
  const empty = (shape: readonly number[]): Operand => make(shape, new Float32Array(sizeOf(shape)).fill(NaN));
  const [out, stats, dq, dk, dv] = [empty(q.shape), empty([heads, Tq, 2]), empty(q.shape), empty(k.shape), empty(k.shape)];
  const options = { heads: perBatch, causal, scale: 0.3, stream: 5, dropoutRate };
  kernels.attention({ q, k, v, keyMask, key }, { out, stats }, options);
  kernels.attentionGrad({ q, k, v, keyMask, key, out, stats, dout }, { dq, dk, dv }, options);
  return [out, stats, dq, dk, dv].map((operand) => backend.readSync!(operand));
}

const cases: Case[] = [
  { heads: 2, Tq: 200, Tk: 200, D: 64, causal: true, mask: false, dropoutRate: 0 },
  { heads: 4, Tq: 70, Tk: 301, D: 32, causal: false, mask: true, dropoutRate: 0 },
  { heads: 2, Tq: 130, Tk: 257, D: 8, causal: true, mask: true, dropoutRate: 0.3 },
  { heads: 2, Tq: 65, Tk: 67, D: 40, causal: false, mask: false, dropoutRate: 0.5 },
  { heads: 2, Tq: 300, Tk: 195, D: 16, causal: true, mask: false, dropoutRate: 0 },
  { heads: 2, Tq: 32, Tk: 4096, D: 8, causal: true, mask: false, dropoutRate: 0 },
];

const library = testLibrary();
describe.runIf('file' in library)('with a library', async () => {
  const backend = 'file' in library ? await createNativeBackend({ threads: 2, library: library.file }) : createCpuBackend();
  const plain = createCpuBackend();
  afterAll(() => backend.dispose());

  it.each(cases)('$heads heads, $Tq queries, $Tk keys of $D; causal $causal, mask $mask, dropout $dropoutRate', (item) => {
    const wanted = results(plain, item);
    const names = ['out', 'stats', 'dq', 'dk', 'dv'];
    for (const [index, found] of results(backend, item).entries()) expect(distance(found, wanted[index]), names[index]).toBeLessThan(3e-5);
  });
});
