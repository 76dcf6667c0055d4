// Products of few rows where there is a library: what it would copy to read it once is multiplied by the engine's own kernel, to the bits that
// it has on cpu:wasm. Which products reach the library is seen on its function.
import { afterAll, describe, expect, it } from 'vitest';
import { sizeOf, type Backend, type Operand } from '@xmoe/core';
import { createCpuBackend, createWasmBackend } from '@xmoe/backend-cpu';
import type { Multiply } from '../src/engine/products.js';
import { findLibrary } from '../src/native/find-library.js';
import { openEngine } from '../src/wasm-backend.js';
import { testLibrary } from './native-support.js';
import { distance, randoms } from './support.js';

function product(backend: Backend, M: number, K: number, N: number, transposeB: boolean): ArrayLike<number> {
  const operand = (shape: readonly number[], seed: number): Operand => {
    const made: Operand = { buffer: backend.allocate('float32', sizeOf(shape)), shape, dtype: 'float32' };
    backend.write(made, Float32Array.from(randoms(sizeOf(shape), seed)));
    return made;
  };
  const [a, b, out] = [operand([1, M, K], 1), operand(transposeB ? [1, N, K] : [1, K, N], 2), operand([1, M, N], 3)];
  backend.kernels.matmul({ a, b }, { out }, { transposeA: false, transposeB });
  const found = backend.readSync!(out);
  for (const { buffer } of [a, b, out]) backend.free(buffer);
  return found;
}

const library = testLibrary();
describe.runIf('file' in library)('with a library', async () => {
  let calls = 0;
  const counting = (multiply: Multiply): Multiply => (...product) => {
    calls++;
    multiply(...product);
  };
  const open = async (file: string): Promise<Backend> => {
    const products = findLibrary({ threads: 1, library: file });
    return openEngine({ threads: 1 }, { ...products, open: (base) => counting(products.open(base)) });
  };
  const own = await createWasmBackend({ threads: 1 });
  const backend = 'file' in library ? await open(library.file) : createCpuBackend();
  afterAll(() => [own, backend].forEach((opened) => opened.dispose()));

  // In how many pieces the library gets a product depends on its kernels, and so on the processor.
  it.each([
    [1, 128, 2048, true, false], [1, 300, 70, true, false], [1, 512, 1024, false, false],
    [1, 300, 128, false, true], [2, 300, 70, true, true], [4, 128, 2048, true, false], [5, 128, 2048, true, true], [8, 512, 1024, false, false], [9, 512, 1024, false, true],
  ])('%i × %i × %i, transposed %s, reaches it: %s', (M, K, N, transposeB, expected) => {
    calls = 0;
    const found = product(backend, M, K, N, transposeB);
    expect(calls > 0).toBe(expected);
    const wanted = product(own, M, K, N, transposeB);
    if (!expected) expect(found).toEqual(wanted);
    else expect(distance(found, wanted)).toBeLessThan(1e-4);
  });
});
