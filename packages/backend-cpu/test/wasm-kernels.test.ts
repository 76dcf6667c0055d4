// The compiled kernels against the plain ones on random shapes, and with more work than one thread takes: conformance has the
// awkward cases of each primitive, this has the ones that only a vector loop, a chunk or a tile can get wrong. The experts' layers are in
// wasm-experts.test.ts.
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { hostPermutation, type Activation } from '@xmoe/core';
import { randoms } from './support.js';
import { createRig, input, offsetsOf, output } from './wasm-support.js';

const rig = await createRig();
afterAll(() => rig.dispose());

const runs = { numRuns: 40 };
const size = fc.integer({ min: 1, max: 41 });
const seed = fc.integer({ min: 1, max: 1e6 });

describe('element-wise', () => {
  it('binary takes rows, columns and scalars on either side', () => {
    const mode = fc.constantFrom('same', 'row', 'column', 'scalar');
    const op = fc.constantFrom('add', 'subtract', 'multiply', 'divide', 'maximum', 'minimum');
    fc.assert(fc.property(size, size, mode, mode, op, seed, (R, C, left, right, name, s) => {
      const shape = (of: string): number[] => [of === 'row' || of === 'scalar' ? 1 : R, of === 'column' || of === 'scalar' ? 1 : C];
      const [a, b] = [shape(left), shape(right)];
      const out = output([Math.max(a[0], b[0]), Math.max(a[1], b[1])]);
      const error = rig.error({ a: input(a, s), b: input(b, s + 1), out }, (k, o) => k.binary({ a: o.a, b: o.b }, { out: o.out }, { op: name }));
      expect(error).toBeLessThan(2e-7);
    }), runs);
  });

  it('select takes rows, columns and scalars on every side', () => {
    const mode = fc.constantFrom('same', 'row', 'column', 'scalar');
    fc.assert(fc.property(size, size, mode, mode, mode, seed, (R, C, test, left, right, s) => {
      const shape = (of: string): number[] => [of === 'row' || of === 'scalar' ? 1 : R, of === 'column' || of === 'scalar' ? 1 : C];
      const [condition, a, b] = [shape(test), shape(left), shape(right)];
      const out = output([Math.max(condition[0], a[0], b[0]), Math.max(condition[1], a[1], b[1])]);
      const chosen = randoms(condition[0] * condition[1], s).map((value) => Number(value > 0));
      const given = { condition: input(condition, chosen, 'bool'), a: input(a, s + 1), b: input(b, s + 2), out };
      expect(rig.error(given, (k, o) => k.select({ condition: o.condition, a: o.a, b: o.b }, { out: o.out }))).toBe(0);
    }), runs);
  });

  it('biasActivation and its gradient take any segments', () => {
    const activation = fc.constantFrom<Activation>('none', 'relu', 'gelu-tanh', 'gelu-erf');
    const rows = fc.integer({ min: 1, max: 300 });
    const cutting = fc.array(fc.nat(400), { minLength: 1, maxLength: 9 });
    fc.assert(fc.property(rows, size, cutting, activation, seed, (R, C, cuts, kind, s) => {
      const offsets = offsetsOf(cuts, R);
      const groups = offsets.length - 1;
      const given = { x: input([R, C], s), bias: input([groups, C], s + 1), offsets: input([groups + 1], offsets, 'int32') };
      expect(rig.error({ ...given, out: output([R, C]) }, (k, o) => k.biasActivation(
        { x: o.x, bias: o.bias, offsets: o.offsets },
        { out: o.out }, { activation: kind },
      ))).toBeLessThan(1e-6);
      const backward = { ...given, dy: input([R, C], s + 2), dx: output([R, C]), dbias: output([groups, C]) };
      const error = rig.error(backward, (k, o) => k.biasActivationGrad(
        { x: o.x, bias: o.bias, offsets: o.offsets, dy: o.dy },
        { dx: o.dx, dbias: o.dbias }, { activation: kind },
      ));
      expect(error).toBeLessThan(1e-5);
    }), runs);
  });

  it('adamStep skips at scale 0 whatever the gradient', () => {
    const state = { p: input([9], 1), g: input([9], new Float32Array(9).fill(NaN)), m: input([9], 2), v: input([9], 3) };
    const hyper = input([10], [0.1, 0.9, 0.99, 1e-8, 0.1, 0.1, 0.01, 0, 0.1, 0.01]);
    const copies = { copyP: output([9]), copyM: output([9]), copyV: output([9]) };
    const error = rig.error({ ...state, hyper, ...copies }, (k, o) => {
      k.adamStep({ gradients: [o.g], hyper: o.hyper }, { parameters: [o.p], m: [o.m], v: [o.v] }, { decay: true });
      for (const [from, to] of [[o.p, o.copyP], [o.m, o.copyM], [o.v, o.copyV]]) k.slice({ x: from }, { out: to }, { begin: [0] });
    });
    expect(error).toBe(0);
  });

  it('dropout and random keep the stream to the bit, odd lengths included', () => {
    fc.assert(fc.property(fc.integer({ min: 0, max: 99 }), fc.nat(0xffffffff), fc.nat(0xffffffff), fc.nat(0xffffffff), (n, k0, k1, stream) => {
      const key = input([2], [k0, k1], 'uint32');
      expect(rig.error({ key, out: output([n]) }, (k, o) => k.random({ key: o.key }, { out: o.out }, { stream }))).toBe(0);
      const given = { key, x: input([n], new Float32Array(n).fill(3)), out: output([n]) };
      expect(rig.error(given, (k, o) => k.dropout({ x: o.x, key: o.key }, { out: o.out }, { rate: 0.25, stream }))).toBe(0);
    }), runs);
  });
});

describe('rows', () => {
  const rows = fc.integer({ min: 1, max: 150 });

  it('softmax, cross-entropy, layerNorm and their gradients take any row length', () => {
    fc.assert(fc.property(rows, size, seed, (R, C, s) => {
      const x = input([R, C], s);
      const dy = input([R, C], s + 1);
      const targets = input([R], Array.from({ length: R }, (_, i) => (i % (C + 2)) - 1), 'int32');
      const row = output([R]);
      const scale = input([R], s + 2);
      const errors = [
        rig.error({ x, out: output([R, C]) }, (k, o) => k.softmax({ x: o.x }, { out: o.out })),
        rig.error({ x, dy, out: output([R, C]) }, (k, o) => k.softmaxGrad({ y: o.x, dy: o.dy }, { dx: o.out })),
        rig.error({ x, targets, a: row, b: row, c: row, d: row }, (k, o) => k.crossEntropyStats(
          { logits: o.x, targets: o.targets },
          { peak: o.a, sum: o.b, picked: o.c, total: o.d }, { offset: 0, vocabulary: C },
        )),
        rig.error({ x, targets, peak: input([R], new Float32Array(R).fill(1)), sum: input([R], new Float32Array(R).fill(2)), scale, out: output([R, C]) }, (k, o) =>
          k.crossEntropyGrad(
            { logits: o.x, targets: o.targets, peak: o.peak, sum: o.sum, scale: o.scale },
            { dlogits: o.out }, { offset: 1, labelSmoothing: 0.1, vocabulary: 2 * C },
          )),
        rig.error({ x, gamma: input([C], s + 3), beta: input([C], s + 4), out: output([R, C]), mean: row, rstd: row }, (k, o) =>
          k.layerNorm({ x: o.x, gamma: o.gamma, beta: o.beta }, { out: o.out, mean: o.mean, rstd: o.rstd }, { epsilon: 0.01 })),
        rig.error({ x, gamma: input([C], s + 3), mean: scale, rstd: scale, dy, dx: output([R, C]), a: output([C]), b: output([C]) }, (k, o) =>
          k.layerNormGrad({ x: o.x, gamma: o.gamma, mean: o.mean, rstd: o.rstd, dy: o.dy }, { dx: o.dx, dgamma: o.a, dbeta: o.b })),
      ];
      for (const error of errors) expect(error).toBeLessThan(1e-5);
    }), runs);
  });

  it('layerNorm keeps the digits of rows far from zero', () => {
    const x = input([5, 257], randoms(5 * 257, 8).map((value) => 10_000 + value));
    const given = { x, gamma: input([257], 1), beta: input([257], 2), out: output([5, 257]), mean: output([5]), rstd: output([5]) };
    expect(rig.error(given, (k, o) => k.layerNorm(
      { x: o.x, gamma: o.gamma, beta: o.beta },
      { out: o.out, mean: o.mean, rstd: o.rstd }, { epsilon: 1e-5 },
    ))).toBeLessThan(2e-6);
  });

  it('a NaN among the logits shows in softmax, and reduce keeps it', () => {
    const x = input([2, 5], [1, 2, NaN, 3, 4, -Infinity, NaN, -Infinity, -Infinity, -Infinity]);
    expect(rig.error({ x, out: output([2, 5]) }, (k, o) => k.softmax({ x: o.x }, { out: o.out }))).toBe(0);
    for (const op of ['sum', 'max', 'min'] as const) {
      expect(rig.error({ x, out: output([2, 1]) }, (k, o) => k.reduce({ x: o.x }, { out: o.out }, { outer: 2, size: 5, inner: 1, op }))).toBe(0);
    }
  });

  it('reduce takes any view, in chunks where the axis is long', () => {
    const op = fc.constantFrom('sum', 'max', 'min');
    fc.assert(fc.property(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 500 }), size, op, seed, (outer, length, inner, name, s) => {
      const given = { x: input([outer, length, inner], s), out: output([outer, inner]) };
      expect(rig.error(given, (k, o) => k.reduce({ x: o.x }, { out: o.out }, { outer, size: length, inner, op: name }))).toBeLessThan(2e-5);
    }), runs);
    const long = { x: input([2, 20_000], 5), out: output([2, 1]) };
    for (const name of ['sum', 'max', 'min'] as const) {
      expect(rig.error(long, (k, o) => k.reduce({ x: o.x }, { out: o.out }, { outer: 2, size: 20_000, inner: 1, op: name }))).toBeLessThan(2e-5);
    }
  });
});

describe('routing', () => {
  /** Few distinct numbers, both zeros, infinities and NaN. */
  const value = fc.constantFrom(-Infinity, -1, -0.5, -0, 0, 0.25, 0.5, 1, Infinity, NaN);

  it('topK and thresholdSelect order as the plain kernels do, ties and NaN included', () => {
    const shaped = fc.integer({ min: 1, max: 70 }).chain((C) =>
      fc.tuple(fc.constant(C), fc.integer({ min: 1, max: C }), fc.array(value, { minLength: 3 * C, maxLength: 3 * C })),
    );
    fc.assert(fc.property(shaped, fc.double({ min: 0, max: 1.2, noNaN: true }), ([C, k, values], threshold) => {
      const x = input([3, C], values);
      expect(rig.error({ x, best: output([3, k]), ids: output([3, k], 'int32') }, (kernels, o) => kernels.topK(
        { x: o.x },
        { values: o.best, indices: o.ids },
      ))).toBe(0);
      const selected = { x, mask: input([3], [1, 0, 1], 'bool'), best: output([3, k]), ids: output([3, k], 'int32'), counts: output([3], 'int32') };
      expect(rig.error(selected, (kernels, o) => kernels.thresholdSelect(
        { p: o.x, mask: null, threshold: null },
        { values: o.best, indices: o.ids, counts: o.counts }, { threshold },
      ))).toBe(0);
      expect(rig.error(selected, (kernels, o) => kernels.thresholdSelect(
        { p: o.x, mask: o.mask, threshold: null },
        { values: o.best, indices: o.ids, counts: o.counts }, { threshold },
      ))).toBe(0);
    }), { numRuns: 100 });
  });

  it('thresholdSelect of many choices takes probabilities that reach the threshold and such that do not', () => {
    const shaped = fc.tuple(fc.integer({ min: 17, max: 256 }), fc.constantFrom(0.5, 1, 1.5), fc.integer({ min: 0, max: 6 }), fc.integer({ min: 1, max: 1e6 }));
    fc.assert(fc.property(shaped, fc.double({ min: 0, max: 0.999, noNaN: true }), ([C, mass, spread, s], threshold) => {
      const rows = [0, 1, 2].map((row) => {
        const exponents = Array.from(randoms(C, s + row), (number) => Math.exp(spread * number));
        const total = exponents.reduce((sum, term) => sum + term, 0);
        return exponents.map((term) => (mass * term) / total);
      });
      for (const k of [C, 17]) {
        const given = { p: input([3, C], rows.flat()), best: output([3, k]), ids: output([3, k], 'int32'), counts: output([3], 'int32') };
        expect(rig.error(given, (kernels, o) => kernels.thresholdSelect(
          { p: o.p, mask: null, threshold: null }, { values: o.best, indices: o.ids, counts: o.counts }, { threshold },
        ))).toBe(0);
      }
    }), { numRuns: 60 });
  });

  it('argReduce of rows takes ties, NaN and infinities as the plain kernel does', () => {
    const shaped = fc.integer({ min: 1, max: 23 }).chain((size) => fc.tuple(fc.constant(size), fc.array(value, { minLength: 5 * size, maxLength: 5 * size })));
    fc.assert(fc.property(shaped, fc.constantFrom('max', 'min'), ([size, values], op) => {
      const given = { x: input([5, size, 1], values), out: output([5, 1], 'int32') };
      expect(rig.error(given, (kernels, o) => kernels.argReduce({ x: o.x }, { out: o.out }, { outer: 5, size, inner: 1, op }))).toBe(0);
    }), { numRuns: 200 });
  });

  it('sortByKey orders ties, zeros, infinities and NaN as the plain kernel does, in one chunk and in several', () => {
    const few = fc.array(value, { minLength: 1, maxLength: 90 });
    fc.assert(fc.property(few, fc.constantFrom(1, 700), (values, repeats) => {
      const keys = Array.from({ length: repeats }, () => values).flat();
      const given = { keys: input([keys.length], keys), order: output([keys.length], 'int32') };
      expect(rig.error(given, (kernels, o) => kernels.sortByKey({ keys: o.keys }, { permutation: o.order }))).toBe(0);
    }), { numRuns: 30 });
    for (const dtype of ['float32', 'int32'] as const) {
      const keys = randoms(40_000, 3).map((key) => (dtype === 'int32' ? Math.round(key * 2 ** 31) : key));
      const given = { keys: input([keys.length], keys, dtype), order: output([keys.length], 'int32') };
      expect(rig.error(given, (kernels, o) => kernels.sortByKey({ keys: o.keys }, { permutation: o.order }))).toBe(0);
      expect(rig.ignoresThreads(given, (kernels, o) => kernels.sortByKey({ keys: o.keys }, { permutation: o.order }))).toBe(true);
    }
  });

  it('dispatchClaims plans as the plain kernel does, whatever the claims and scores', () => {
    const size = fc.integer({ min: 1, max: 12 });
    const path = fc.constantFrom('padded', 'grouped', 'budget');
    fc.assert(fc.property(size, size, size, path, fc.boolean(), fc.nat(1e6), fc.nat(30), (T, K, N, dispatch, rankOnly, s, more) => {
      const ids = Array.from(randoms(T * K, s), (id) => Math.floor((id + 1) * 0.5 * (N + 3)) - 2); // some below 0, some beyond
      const scores = Array.from(randoms(T * K, s + 1), (score) => (score > 0.9 ? NaN : Math.round(4 * score) / 4 || (score < 0 ? -0 : 0)));
      const R = dispatch === 'grouped' ? T * K + more : dispatch === 'padded' ? N * (more % 5) : more;
      const given = {
        ids: input([T, K], ids, 'int32'), scores: input([T, K], scores), rowClaim: output([R], 'int32'), rowToken: output([R], 'int32'),
        claimRow: output([T, K], 'int32'), offsets: output([N + 1], 'int32'), wanted: output([N], 'int32'), load: output([N], 'int32'),
      };
      expect(rig.error(given, (kernels, o) => {
        kernels.dispatchClaims(
          { expertIds: o.ids, scores: o.scores },
          { rowClaim: o.rowClaim, rowToken: o.rowToken, claimRow: o.claimRow, offsets: o.offsets, wanted: o.wanted, load: o.load },
          { dispatch, rankOnly },
        );
      })).toBe(0);
    }), { numRuns: 300 });
  });

  it.each([[20_000, 4, 7], [9001, 1, 1], [300, 200, 4096]])('dispatchClaims of all claims of %i tokens is cut among threads, and does not show it', (T, K, N) => {
    const ids = Array.from(randoms(T * K, T), (id) => Math.floor((id + 1) * 0.5 * (N + 3)) - 2);
    const given = {
      ids: input([T, K], ids, 'int32'), scores: input([T, K], 2), rowClaim: output([T * K + 3], 'int32'), rowToken: output([T * K + 3], 'int32'),
      claimRow: output([T, K], 'int32'), offsets: output([N + 1], 'int32'), wanted: output([N], 'int32'), load: output([N], 'int32'),
    };
    const plan: Parameters<typeof rig.error<keyof typeof given>>[1] = (kernels, { ids: expertIds, scores, ...outputs }) => kernels.dispatchClaims({ expertIds, scores }, outputs, { dispatch: 'grouped', rankOnly: false });
    expect(rig.error(given, plan)).toBe(0);
    expect(rig.ignoresThreads(given, plan)).toBe(true);
  });

  it('topK and thresholdSelect of many columns, ties and NaN included', () => {
    for (const [C, k] of [[257, 17], [257, 257], [1001, 40], [4096, 512]] as const) {
      const odd = [NaN, -0, 0, Infinity, -Infinity, 0.25];
      const few = Array.from(randoms(3 * C, k), (number, at) => odd[Math.floor(at * 7.3) % 40] ?? Math.round(number * 50) / 50);
      for (const values of [few, randoms(3 * C, C)]) {
        const given = { x: input([3, C], values), best: output([3, k]), ids: output([3, k], 'int32'), counts: output([3], 'int32') };
        expect(rig.error(given, (kernels, o) => kernels.topK({ x: o.x }, { values: o.best, indices: o.ids }))).toBe(0);
        expect(rig.error(given, (kernels, o) => kernels.thresholdSelect({ p: o.x, mask: null, threshold: null }, { values: o.best, indices: o.ids, counts: o.counts }, { threshold: 0.7 }))).toBe(0);
      }
    }
  });

  it('topK of many columns', () => {
    for (const k of [1, 16, 17]) {
      const given = { x: input([3, 1000], 9), best: output([3, k]), ids: output([3, k], 'int32') };
      expect(rig.error(given, (kernels, o) => kernels.topK({ x: o.x }, { values: o.best, indices: o.ids }))).toBe(0);
    }
  });

  it('combineExperts and its gradient take any claims and widths', () => {
    fc.assert(fc.property(size, fc.integer({ min: 1, max: 9 }), size, seed, (T, K, D, s) => {
      const claims = hostPermutation([s, 1], T * K);
      const kept = Math.ceil((T * K) / 2);
      const claimRow = new Int32Array(T * K).fill(-1);
      claims.slice(0, kept).forEach((claim, row) => { claimRow[claim] = row; });
      const given = {
        rows: input([kept, D], s), weights: input([T, K], s + 1), claimRow: input([T, K], claimRow, 'int32'),
        rowClaim: input([kept], claims.slice(0, kept), 'int32'),
      };
      expect(rig.error({ ...given, out: output([T, D]) }, (k, o) => k.combineExperts(
        { expertOut: o.rows, weights: o.weights, claimRow: o.claimRow, rowClaim: o.rowClaim },
        { out: o.out },
      ))).toBeLessThan(1e-6);
      const backward = { ...given, dy: input([T, D], s + 2), dRows: output([kept, D]), dWeights: output([T, K]) };
      const error = rig.error(backward, (k, o) => k.combineExpertsGrad(
        { expertOut: o.rows, weights: o.weights, claimRow: o.claimRow, rowClaim: o.rowClaim, dy: o.dy },
        { dExpertOut: o.dRows, dWeights: o.dWeights },
      ));
      expect(error).toBeLessThan(2e-6);
    }), runs);
  });
});

describe('movement', () => {
  const dtype = fc.constantFrom('float32', 'int32', 'bool');

  it('transpose takes any permutation of up to six axes', () => {
    const shaped = fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 6 }).chain((shape) => {
      const axes = shape.map((_, axis) => axis);
      return fc.tuple(fc.constant(shape), fc.shuffledSubarray(axes, { minLength: axes.length }));
    });
    fc.assert(fc.property(shaped, dtype, ([shape, permutation], type) => {
      const length = shape.reduce((product, extent) => product * extent, 1);
      const x = input(shape, Array.from({ length }, (_, i) => (type === 'bool' ? i % 2 : i)), type);
      const out = output(permutation.map((axis) => shape[axis]), type);
      expect(rig.error({ x, out }, (k, o) => k.transpose({ x: o.x }, { out: o.out }, { permutation }))).toBe(0);
    }), { numRuns: 150 });
  });

  it('transpose of matrices, tiles and edges', () => {
    for (const shape of [[37, 50], [64, 64], [3, 41, 18]]) {
      const permutation = shape.length === 2 ? [1, 0] : [0, 2, 1];
      const given = { x: input(shape, 3), out: output(permutation.map((axis) => shape[axis])) };
      expect(rig.error(given, (k, o) => k.transpose({ x: o.x }, { out: o.out }, { permutation }))).toBe(0);
    }
  });

  it('slice and broadcast take any part of up to four axes', () => {
    const axis = fc.tuple(fc.integer({ min: 1, max: 7 }), fc.nat(6), fc.nat(6)).map(([extent, from, length]) => {
      const begin = from % extent;
      return { extent, begin, length: 1 + (length % (extent - begin)) };
    });
    fc.assert(fc.property(fc.array(axis, { minLength: 1, maxLength: 4 }), seed, (axes, s) => {
      const x = input(axes.map(({ extent }) => extent), s);
      const out = output(axes.map(({ length }) => length));
      expect(rig.error({ x, out }, (k, o) => k.slice({ x: o.x }, { out: o.out }, { begin: axes.map(({ begin }) => begin) }))).toBe(0);
      const narrow = input(axes.map(({ extent, begin }) => (begin === 0 ? 1 : extent)), s);
      expect(rig.error({ narrow, out: output(x.shape) }, (k, o) => k.broadcast({ x: o.narrow }, { out: o.out }))).toBe(0);
    }), { numRuns: 100 });
  });

  it('rows are gathered, added and joined in any width', () => {
    const any = fc.array(fc.integer({ min: -2, max: 45 }), { minLength: 1, maxLength: 60 });
    fc.assert(fc.property(size, fc.integer({ min: 1, max: 70 }), any, seed, (R, D, rows, s) => {
      const indices = input([rows.length], rows, 'int32');
      const gathered = { x: input([R, D], s), indices, out: output([rows.length, D]) };
      expect(rig.error(gathered, (k, o) => k.gatherRows({ x: o.x, indices: o.indices }, { out: o.out }))).toBe(0);
      const added = { x: input([rows.length, D], s), indices, out: output([R, D]) };
      expect(rig.error(added, (k, o) => k.scatterAddRows({ x: o.x, indices: o.indices }, { out: o.out }))).toBe(0);
      const joined = { a: input([R, D], s), b: input([R, rows.length], s), out: output([R, D + rows.length]) };
      expect(rig.error(joined, (k, o) => k.concat({ parts: [o.a, o.b] }, { out: o.out }, { axis: 1 }))).toBe(0);
    }), runs);
  });
});

describe('any number of threads gives the same bits', () => {
  const [R, C] = [1003, 131];
  const x = input([R, C], 1);
  const full = output([R, C]);

  it('sums over rows and over everything', () => {
    expect(rig.ignoresThreads({ x, out: output([1]) }, (k, o) => k.sumSquares({ parts: [o.x] }, { out: o.out }))).toBe(true);
    expect(rig.ignoresThreads({ x, out: output([1, C]) }, (k, o) => k.reduce(
      { x: o.x },
      { out: o.out }, { outer: 1, size: R, inner: C, op: 'sum' },
    ))).toBe(true);
    expect(rig.ignoresThreads({ x, out: output([1, 1]) }, (k, o) => k.reduce(
      { x: o.x },
      { out: o.out }, { outer: 1, size: R * C, inner: 1, op: 'sum' },
    ))).toBe(true);
  });

  it('biasActivationGrad over segments', () => {
    const given = { x, bias: input([5, C], 2), offsets: input([6], [0, 100, 100, 517, 900, 1000], 'int32'), dy: input([R, C], 3), dx: full, dbias: output([5, C]) };
    expect(rig.ignoresThreads(given, (k, o) => k.biasActivationGrad(
      { x: o.x, bias: o.bias, offsets: o.offsets, dy: o.dy },
      { dx: o.dx, dbias: o.dbias }, { activation: 'gelu-tanh' },
    ))).toBe(true);
  });

  it('layerNormGrad', () => {
    const given = { x, gamma: input([C], 2), mean: input([R], 3), rstd: input([R], 4), dy: input([R, C], 5), dx: full, dgamma: output([C]), dbeta: output([C]) };
    expect(rig.ignoresThreads(given, (k, o) => k.layerNormGrad(
      { x: o.x, gamma: o.gamma, mean: o.mean, rstd: o.rstd, dy: o.dy },
      { dx: o.dx, dgamma: o.dgamma, dbeta: o.dbeta },
    ))).toBe(true);
  });

  it('element-wise functions and dropout, cut anywhere', () => {
    for (const op of ['exp', 'tanh', 'erf', 'sigmoid'] as const) {
      expect(rig.ignoresThreads({ x, out: full }, (k, o) => k.unary({ x: o.x }, { out: o.out }, { op }))).toBe(true);
    }
    const given = { x, key: input([2], [7, 9], 'uint32'), out: full };
    expect(rig.ignoresThreads(given, (k, o) => k.dropout({ x: o.x, key: o.key }, { out: o.out }, { rate: 0.5, stream: 3 }))).toBe(true);
  });

  it('scatterAddRows with repeated rows', () => {
    const indices = input([R], Array.from({ length: R }, (_, i) => (i * 7) % 19), 'int32');
    expect(rig.ignoresThreads({ x, indices, out: output([19, C]) }, (k, o) => k.scatterAddRows(
      { x: o.x, indices: o.indices },
      { out: o.out },
    ))).toBe(true);
  });
});
