// The compiled attention and its gradient against the plain ones, at the sizes where its blocks, panels and tiles begin and end.
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { sizeOf, type AttentionOptions, type DType, type Kernels, type Operand } from '@xmoe/core';
import { createWasmBackend } from '@xmoe/backend-cpu';
import { randoms } from './support.js';
import { createRig, input, output, type Given } from './wasm-support.js';

const rig = await createRig();
afterAll(() => rig.dispose());

interface Sizes {
  readonly B: number;
  readonly heads: number;
  readonly Tq: number;
  readonly Tk: number;
  readonly D: number;
  readonly causal: boolean;
  readonly isMasked: boolean;
  readonly dropoutRate: number;
}

type Names = 'q' | 'k' | 'v' | 'mask' | 'key' | 'dout' | 'out' | 'stats' | 'dq' | 'dk' | 'dv';

/** Forward and backward in one call, so that the gradient sees its own forward pass. In a mask the second batch row is blind. */
function caseOf(sizes: Sizes, seed: number): [Record<Names, Given>, (kernels: Kernels, operands: Record<Names, Operand>) => void] {
  const { B, heads, Tq, Tk, D, causal, isMasked, dropoutRate } = sizes;
  const [queries, keys] = [[B * heads, Tq, D], [B * heads, Tk, D]];
  const seen = Array.from({ length: B * Tk }, (_, i) => (Math.floor(i / Tk) !== 1 && (i * 7 + seed) % 3 !== 0 ? 1 : 0));
  const options: AttentionOptions = { heads, causal, scale: 1.5 / Math.sqrt(D), dropoutRate, stream: 0xfedcba98 };
  const given: Record<Names, Given> = {
    q: input(queries, seed), k: input(keys, seed + 1), v: input(keys, seed + 2), dout: input(queries, seed + 3),
    mask: input([B, Tk], seen, 'bool'), key: input([2], [seed, 5], 'uint32'),
    out: output(queries), stats: output([B * heads, Tq, 2]), dq: output(queries), dk: output(keys), dv: output(keys),
  };
  return [given, (kernels, o) => {
    const [mask, key] = [isMasked ? o.mask : null, dropoutRate > 0 ? o.key : null];
    kernels.attention({ q: o.q, k: o.k, v: o.v, keyMask: mask, key }, { out: o.out, stats: o.stats }, options);
    kernels.attentionGrad(
      { q: o.q, k: o.k, v: o.v, keyMask: mask, key, out: o.out, stats: o.stats, dout: o.dout },
      { dq: o.dq, dk: o.dk, dv: o.dv }, options,
    );
  }];
}

const plain: Sizes = { B: 2, heads: 2, Tq: 70, Tk: 70, D: 16, causal: true, isMasked: false, dropoutRate: 0 };

describe('compiled attention', () => {
  it.each<[string, Partial<Sizes>]>([
    ['causal', {}],
    ['heads of 64', { D: 64, Tq: 33, Tk: 33 }],
    ['heads of 24', { D: 24 }],
    ['cross', { Tq: 5, Tk: 43, causal: false }],
    ['cached', { Tq: 3, Tk: 43 }],
    ['more queries than keys', { Tq: 50, Tk: 9 }],
    ['masked', { isMasked: true }],
    ['dropout', { dropoutRate: 0.3 }],
    ['everything', { isMasked: true, dropoutRate: 0.2, Tq: 41, Tk: 67, D: 8 }],
    ['blocks of fewer rows', { B: 1, heads: 1, Tq: 40, Tk: 4100, D: 8, causal: false }],
    ['one query', { Tq: 1, Tk: 43, D: 24, isMasked: true }],
    ['one', { B: 1, heads: 1, Tq: 1, Tk: 1, D: 8 }],
  ])('%s', (_, changed) => {
    expect(rig.error(...caseOf({ ...plain, ...changed }, 11))).toBeLessThan(1e-5);
  });

  it('any sizes', () => {
    const length = fc.integer({ min: 1, max: 75 });
    const sizes = fc.record({
      B: fc.integer({ min: 1, max: 2 }), heads: fc.integer({ min: 1, max: 2 }), Tq: length, Tk: length, D: fc.constantFrom(8, 16, 40),
      causal: fc.boolean(), isMasked: fc.boolean(), dropoutRate: fc.constantFrom(0, 0.4),
    });
    fc.assert(fc.property(sizes, fc.integer({ min: 1, max: 1000 }), (given, seed) => {
      expect(rig.error(...caseOf(given, seed))).toBeLessThan(1e-5);
    }), { numRuns: 40 });
  });

  it.each([[1, 8, false], [43, 24, true], [130, 64, true], [131, 32, false]])('a query alone has the bits that it has among others: %i keys of %i, masked %s', async (Tk, D, isMasked) => {
    const backend = await createWasmBackend({ threads: 2 });
    const make = (shape: readonly number[], data: ArrayLike<number>, dtype: DType = 'float32'): Operand => {
      const operand = { buffer: backend.allocate(dtype, sizeOf(shape)), shape, dtype };
      backend.write(operand, data);
      return operand;
    };
    const [H, Tq] = [6, 3];
    const [queries, k, v] = [randoms(H * Tq * D, 1), make([H, Tk, D], randoms(H * Tk * D, 2)), make([H, Tk, D], randoms(H * Tk * D, 3))];
    const keyMask = isMasked ? make([2, Tk], Array.from({ length: 2 * Tk }, (_, at) => Number(at % 3 > 0)), 'bool') : null;
    const attend = (rows: number, values: ArrayLike<number>): number[][] => {
      const [out, stats] = [make([H, rows, D], new Float32Array(H * rows * D).fill(NaN)), make([H, rows, 2], new Float32Array(2 * H * rows).fill(NaN))];
      const options = { heads: 3, causal: false, scale: 0.3, stream: 0, dropoutRate: 0 };
      (backend.kernels as Kernels).attention({ q: make([H, rows, D], values), k, v, keyMask, key: null }, { out, stats }, options);
      return [out, stats].map((operand) => Array.from(backend.readSync!(operand)));
    };
    // Query 1 of each head.
    const second = (values: ArrayLike<number>, width: number): number[] => Array.from(values).filter((_, at) => Math.floor(at / width) % Tq === 1);
    const [out, stats] = attend(Tq, queries);
    expect(attend(1, second(queries, D))).toEqual([second(out, D), second(stats, 2)]);
    backend.dispose();
  });

  it('gives the same bits with any number of threads', () => {
    expect(rig.ignoresThreads(...caseOf({ ...plain, heads: 3, isMasked: true, dropoutRate: 0.1, Tq: 200, Tk: 200 }, 3))).toBe(true);
  });
});
