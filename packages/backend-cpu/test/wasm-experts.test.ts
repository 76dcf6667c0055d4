// The compiled kernels of the experts' layers against the plain ones on random shapes: as wasm-kernels.test.ts does with the others.
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { hostPermutation, type Activation } from '@xmoe/core';
import { randoms } from './support.js';
import { createRig, input, offsetsOf, output } from './wasm-support.js';

const rig = await createRig();
afterAll(() => rig.dispose());

const runs = { numRuns: 40 };
const seed = fc.integer({ min: 1, max: 1e6 });

describe('experts', () => {
  /** Segments over rows, some of them empty slots, and rows of x to gather. */
  const segments = fc.tuple(fc.integer({ min: 1, max: 90 }), fc.array(fc.nat(200), { minLength: 1, maxLength: 6 }), fc.integer({ min: 1, max: 30 }), seed);
  const picks = (R: number, count: number, s: number): number[] => Array.from(randoms(R, s), (pick) => Math.floor((pick + 1) * 0.5 * (count + 2)) - 1);
  const activation = fc.constantFrom<Activation>('none', 'relu', 'gelu-tanh', 'gelu-erf');
  const width = fc.integer({ min: 1, max: 45 });

  it('groupedLinear takes any segments, gathers and widths', () => {
    fc.assert(fc.property(segments, width, width, activation, fc.boolean(), ([R, cuts, X, s], K, M, kind, transposeW) => {
      const offsets = offsetsOf(cuts, R);
      const groups = offsets.length - 1;
      const given = {
        x: input([X, K], s), rows: input([R], picks(R, X, s + 1), 'int32'), w: input(transposeW ? [groups, M, K] : [groups, K, M], s + 2),
        bias: input([groups, M], s + 3), offsets: input([groups + 1], offsets, 'int32'), out: output([R, M]), pre: output([R, M]),
      };
      expect(rig.error(given, (k, o) => k.groupedLinear(
        { x: o.x, rows: o.rows, w: o.w, bias: o.bias, offsets: o.offsets },
        { out: o.out, pre: o.pre },
        { transposeW, activation: kind },
      ))).toBeLessThan(1e-5);
    }), runs);
  });

  it('groupedLinearWeightGrad takes any segments, gathers and widths', () => {
    fc.assert(fc.property(segments, width, width, fc.boolean(), ([R, cuts, X, s], K, M, hasBias) => {
      const offsets = offsetsOf(cuts, R);
      const groups = offsets.length - 1;
      const given = {
        x: input([X, K], s), xRows: input([R], picks(R, X, s + 1), 'int32'), dy: input([X, M], s + 2), dyRows: input([R], picks(R, X, s + 3), 'int32'),
        scale: input([R], s + 4), offsets: input([groups + 1], offsets, 'int32'), dw: output([groups, K, M]), dbias: output(hasBias ? [groups, M] : [0]),
      };
      const call: Parameters<typeof rig.error<keyof typeof given>>[1] = (k, o) =>
        k.groupedLinearWeightGrad(
          { x: o.x, xRows: o.xRows, dy: o.dy, dyRows: o.dyRows, scale: o.scale, offsets: o.offsets },
          { dw: o.dw, dbias: hasBias ? o.dbias : null },
        );
      expect(rig.error(given, call)).toBeLessThan(1e-5);
    }), runs);
  });

  it('deep segments are summed in slices', () => {
    const R = 900; // more than twice the depth of a slice
    const given = { x: input([R, 20], 1), dy: input([40, 24], 2), dyRows: input([R], picks(R, 40, 3), 'int32'), offsets: input([3], [0, 877, R], 'int32'), dw: output([2, 20, 24]), dbias: output([2, 24]) };
    expect(rig.error(given, (k, o) => k.groupedLinearWeightGrad(
      { x: o.x, xRows: null, dy: o.dy, dyRows: o.dyRows, scale: null, offsets: o.offsets },
      { dw: o.dw, dbias: o.dbias },
    ))).toBeLessThan(2e-5);
  });

  it('gradients of biases have the bits of one sum in the order of the rows, however the rows are cut', () => {
    const [R, D, S] = [900, 20, 24]; // more rows than a slice or a block of experts holds
    const rows = Array.from({ length: R }, (_, row) => row);
    const [weights, dy] = [randoms(R, 3), randoms(R * D, 7)].map((numbers) => Float32Array.from(numbers)) as [Float32Array, Float32Array];
    const given = {
      x: input([R, D], 1), pre: input([R, S], 2), weights: input([R, 1], weights), w1: input([1, D, S], 4), w2: input([1, S, D], 5), b2: input([1, D], 6), dy: input([R, D], dy),
      rowToken: input([R], rows, 'int32'), rowClaim: input([R], rows, 'int32'), claimRow: input([R, 1], rows, 'int32'), offsets: input([2], [0, R], 'int32'),
      rowGradients: output([R, D]), dWeights: output([R, 1]), dw1: output([1, D, S]), db1: output([1, S]), dw2: output([1, S, D]), db2: output([1, D]), alone: output([1, D]), dw: output([1, D, D]),
    };
    const sum = new Float32Array(D);
    for (const row of rows) for (let i = 0; i < D; i++) sum[i]! += Math.fround(weights[row]! * dy[row * D + i]!);
    const found = rig.outputs(given, (k, { rowGradients, dWeights, dw1, db1, dw2, db2, alone, dw, ...o }) => {
      k.expertsBackward({ ...o, rowSelf: null }, { rowGradients, dWeights, dw1, db1, dw2, db2 }, { activation: 'relu' });
      k.groupedLinearWeightGrad({ x: o.x, xRows: null, dy: o.dy, dyRows: o.rowToken, scale: o.weights, offsets: o.offsets }, { dw, dbias: alone });
    });
    for (const { alone, db2 } of found) expect([alone, db2]).toEqual([sum, sum]);
  });

  it('expertsForward and expertsBackward take any rows and widths', () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 4 }), width, width, activation, seed, (T, K, S, D, kind, s) => {
      const claims = hostPermutation([s, 1], T * K);
      const kept = Math.ceil((T * K) / 2);
      const rowClaim = [...claims.slice(0, kept), -1, -1, -1];
      const R = rowClaim.length;
      const claimRow = new Int32Array(T * K).fill(-1);
      claims.slice(0, kept).forEach((claim, row) => { claimRow[claim] = row; });
      const given = {
        x: input([T, D], s), pre: input([R, S], s + 1), weights: input([T, K], s + 2), w1: input([2, D, S], s + 3), b1: input([2, S], s + 4), w2: input([2, S, D], s + 5),
        b2: input([2, D], s + 6), dy: input([T, D], s + 7), rowToken: input([R], rowClaim.map((claim) => (claim < 0 ? -1 : Math.floor(claim / K))), 'int32'),
        rowClaim: input([R], rowClaim, 'int32'), claimRow: input([T, K], claimRow, 'int32'), offsets: input([3], [0, kept >> 1, kept], 'int32'),
        out: output([R, D]), before: output([R, S]), hidden: output([R, S]), rowGradients: output([R, D]), dWeights: output([T, K]),
        dw1: output([2, D, S]), db1: output([2, S]), dw2: output([2, S, D]), db2: output([2, D]),
      };
      const error = rig.error(given, (k, { out, before, hidden, rowGradients, dWeights, dw1, db1, dw2, db2, ...o }) => {
        k.expertsForward({ ...o, rowSelf: null }, { out, pre: before, hidden }, { activation: kind });
        k.expertsBackward({ ...o, rowSelf: null }, { rowGradients, dWeights, dw1, db1, dw2, db2 }, { activation: kind });
      });
      expect(error).toBeLessThan(2e-5);
    }), runs);
  });
});
