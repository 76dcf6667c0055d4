// Bit-equal results of cpu:native for any number of threads: every conformance case in the smallest pieces, and products that are large enough
// to be shared out, in all forms. Its blocks depend on shapes alone where a library's results depend on blocks; which libraries those are is asked.
import { afterAll, describe, expect, it, vi } from 'vitest';
import { sizeOf, type Backend, type Kernels, type Operand } from '@xmoe/core';
import { createNativeBackend } from '@xmoe/backend-cpu/node';
import { chooseBlocks, chooseGradientBlocks, chooseGroupedBlocks, LEAST_FREE_WORK } from '../src/engine/kernels/blocks.js';
import type { Multiply } from '../src/engine/products.js';
import type { WasmRuntime } from '../src/engine/runtime.js';
import { CUTS_BYTES, cutsDoNotShow } from '../src/native/cuts.js';
import { describeCut } from './cut-suite.js';
import { testLibrary } from './native-support.js';
import { randoms } from './support.js';

vi.mock('../src/engine/team.js', async (original) => (await import('./small-pieces.js')).withSmallPieces(original));

it('blocks of a library are those of the shape, whatever the threads', () => {
  for (const [matrices, M, N, K] of [[1, 1024, 3072, 768], [1, 128, 384, 768], [12, 256, 256, 64], [1, 5, 70_000, 3], [3, 0, 4, 5], [1, 300, 200, 0]]) {
    const blocks = [1, 2, 3, 8, 64].map((threads) => {
      const runtime = { threads, byLibrary: true, cutsFreely: false } as WasmRuntime;
      return JSON.stringify([chooseBlocks(runtime, matrices, M, N, K), chooseGroupedBlocks(runtime, M, 1, N, K), chooseGradientBlocks(runtime, matrices, M, N)]);
    });
    expect(new Set(blocks).size).toBe(1);
  }
  expect(chooseBlocks({ threads: 1, byLibrary: true, cutsFreely: false } as WasmRuntime, 1, 1024, 3072, 768)).toEqual({ rows: 512, columns: 768 });
});

it('where blocks do not show there is one per thread, and none for which the library has other kernels', () => {
  const free = (threads: number): WasmRuntime => ({ threads, byLibrary: true, cutsFreely: true }) as WasmRuntime;
  expect([1, 2, 6].map((threads) => chooseBlocks(free(threads), 1, 1024, 3072, 768))).toEqual([{ rows: 1024, columns: 3072 }, { rows: 1024, columns: 1536 }, { rows: 1024, columns: 512 }]);
  expect(chooseBlocks(free(8), 8, 256, 256, 64)).toEqual({ rows: 256, columns: 256 });
  for (const [matrices, M, N, K] of [[1, 1025, 3000, 70], [3, 129, 1040, 33], [1, 2049, 131, 4000], [2, 517, 517, 517], [1, 260, 260, 64]]) {
    for (const threads of [2, 3, 5, 8, 64]) {
      const { rows, columns } = chooseBlocks(free(threads), matrices, M, N, K);
      if (rows === M && columns === N) continue;
      expect((M % rows || rows) * (N % columns || columns) * K).toBeGreaterThanOrEqual(LEAST_FREE_WORK);
    }
  }
});

it('finds out whether blocks show', () => {
  const memory = new SharedArrayBuffer(CUTS_BYTES);
  const floats = new Float32Array(memory);
  const sumsBy = (backwards: (rows: number, columns: number) => boolean): Multiply => (transposeA, transposeB, rows, columns, K, a, strideA, b, strideB, _added, out, strideOut) => {
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        let sum = 0;
        for (let step = 0; step < K; step += 16) { // every sixteenth term will do
          const k = backwards(rows, columns) ? K - 1 - ((K - 1) % 16) - step : step;
          sum = Math.fround(sum + floats[a / 4 + (transposeA ? k * strideA + row : row * strideA + k)] * floats[b / 4 + (transposeB ? column * strideB + k : k * strideB + column)]);
        }
        floats[out / 4 + row * strideOut + column] = sum;
      }
    }
  };
  expect(cutsDoNotShow(sumsBy(() => false), memory)).toBe(true);
  expect(cutsDoNotShow(sumsBy((rows) => rows % 64 > 40), memory)).toBe(false);
  expect(cutsDoNotShow(sumsBy((_rows, columns) => columns === 192 / 2), memory)).toBe(false);
});

const library = testLibrary();
describe.runIf('file' in library)('with a library', async () => {
  const open = (threads: number): Promise<Backend> => createNativeBackend({ threads, library: (library as { file: string }).file });
  const [whole, ...cut] = 'file' in library ? await Promise.all([1, 2, 3, 4].map(open)) : [];
  afterAll(() => [whole, ...cut].forEach((backend) => backend?.dispose()));
  if (whole) describeCut(whole, cut);

  type Run = (kernels: Kernels, make: (shape: readonly number[], data: ArrayLike<number> | number, dtype?: 'int32') => Operand) => Operand[];

  function resultsOf(backend: Backend, run: Run): string {
    const made: Operand[] = [];
    const outputs = run(backend.kernels as Kernels, (shape, data, dtype) => {
      const operand: Operand = { buffer: backend.allocate(dtype ?? 'float32', sizeOf(shape)), shape, dtype: dtype ?? 'float32' };
      backend.write(operand, typeof data === 'number' ? randoms(sizeOf(shape), data) : data);
      made.push(operand);
      return operand;
    });
    const bits = outputs.map((operand) => {
      const data = backend.readSync!(operand);
      return Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64');
    });
    for (const { buffer } of made) backend.free(buffer);
    return bits.join();
  }

  const expectSameBits = (run: Run): void => {
    const wanted = resultsOf(whole, run);
    for (const backend of [...cut, whole]) expect(resultsOf(backend, run) === wanted, backend.description).toBe(true);
  };

  const shapes = [[1, 700, 900, 310], [1, 512, 128, 768], [1, 1, 3000, 500], [1, 5, 3001, 129], [3, 333, 257, 129], [1, 1023, 65, 33], [9, 130, 70, 64]];
  it.each(shapes.flatMap((shape) => [0, 1, 2, 3].map((form) => [...shape, form])))('%i matrices of %i × %i × %i, form %i', (matrices, M, N, K, form) => {
    const [transposeA, transposeB] = [form >= 2, form % 2 === 1];
    expectSameBits((kernels, make) => {
      const out = make([matrices, M, N], new Float32Array(matrices * M * N).fill(NaN));
      const a = make(transposeA ? [matrices, K, M] : [matrices, M, K], 1);
      kernels.matmul({ a, b: make(transposeB ? [matrices, N, K] : [matrices, K, N], 2) }, { out }, { transposeA, transposeB });
      return [out];
    });
  });

  it.each([[600, 200, 520], [900, 768, 96], [40, 33, 700], [700, 300, 3], [700, 4, 260]])('experts of %i rows, %i → %i, gathered and not, and their gradients', (R, K, M) => {
    const tokens = 128;
    const picks = Array.from(randoms(R, 5), (pick) => Math.floor((pick + 1) * 0.5 * (tokens + 1)) - 1);
    const offsets = [0, Math.floor(R / 7), Math.floor(R / 7), R - 3];
    for (const transposeW of [false, true]) {
      expectSameBits((kernels, make) => {
        const rows = make([R], picks, 'int32');
        const bounds = make([4], offsets, 'int32');
        const [x, w, bias] = [make([tokens, K], 6), make(transposeW ? [3, M, K] : [3, K, M], 7), make([3, M], 8)];
        const [out, pre, dw, dbias] = [make([R, M], 0), make([R, M], 0), make([3, K, M], 0), make([3, M], 0)];
        kernels.groupedLinear({ x, rows, w, bias, offsets: bounds }, { out, pre }, { transposeW, activation: 'gelu-tanh' });
        kernels.groupedLinearWeightGrad({ x, xRows: rows, dy: out, dyRows: null, scale: make([R], 9), offsets: bounds }, { dw, dbias });
        return [out, pre, dw, dbias];
      });
    }
  });

  it('attention and its gradient', () => {
    expectSameBits((kernels, make) => {
      const [heads, T, D] = [6, 200, 64];
      const [q, k, v, dout] = [1, 2, 3, 4].map((seed) => make([heads, T, D], seed));
      const [out, stats, dq, dk, dv] = [make([heads, T, D], 0), make([heads, T, 2], 0), ...[5, 6, 7].map((seed) => make([heads, T, D], seed))];
      const options = { heads: 2, causal: true, scale: 0.125, stream: 0, dropoutRate: 0 };
      kernels.attention({ q, k, v, keyMask: null, key: null }, { out, stats }, options);
      kernels.attentionGrad({ q, k, v, keyMask: null, key: null, out, stats, dout }, { dq, dk, dv }, options);
      return [out, dq, dk, dv];
    });
  });
});
