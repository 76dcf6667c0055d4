// Experts of one to four hidden units have kernels of their own: their sums have the bits that they have in wider products, in all variants.
import fc from 'fast-check';
import { afterAll, expect, it } from 'vitest';
import { randoms } from './support.js';
import { createRig, input, offsetsOf, output, type Given } from './wasm-support.js';

const rig = await createRig();
afterAll(() => rig.dispose());

const runs = { numRuns: 25 };
const narrow = fc.integer({ min: 1, max: 4 });
/** Up to more than a slice of K, or more rows than a block. */
const long = fc.oneof(fc.integer({ min: 1, max: 45 }), fc.integer({ min: 250, max: 600 }));
const segments = fc.tuple(long, fc.array(fc.nat(1000), { minLength: 1, maxLength: 4 }), fc.integer({ min: 1, max: 30 }), fc.integer({ min: 1, max: 1e6 }));
const picks = (R: number, count: number, seed: number): Given => input([R], Array.from(randoms(R, seed), (pick) => Math.floor((pick + 1) * 0.5 * (count + 2)) - 1), 'int32');

/** So many columns are beside the narrow side where it is not narrow. */
const MORE = 8;

/** The first `columns` columns of matrices [groups, rows, most] of numbers, each turned if so asked. */
function columnsOf([groups, rows, most]: readonly [number, number, number], columns: number, seed: number, transposed = false): Given {
  const all = randoms(groups * rows * most, seed);
  const shape = [groups, ...(transposed ? [columns, rows] : [rows, columns])];
  const data = Float32Array.from({ length: groups * rows * columns }, (_, at) => {
    const [group, place] = [Math.floor(at / (rows * columns)), at % (rows * columns)];
    const [row, column] = transposed ? [place % rows, Math.floor(place / rows)] : [Math.floor(place / columns), place % columns];
    return all[(group * rows + row) * most + column]!;
  });
  return input(shape, data);
}

const first = (data: ArrayLike<number>, from: number, to: number): number[] => Array.from(data).filter((_, at) => at % from < to);

it('rows times matrices of few columns', () => {
  fc.assert(fc.property(segments, long, narrow, fc.boolean(), ([R, cuts, X, s], K, M, transposeW) => {
    const offsets = offsetsOf(cuts, R);
    const groups = offsets.length - 1;
    const product = (columns: number) => rig.outputs(
      { x: input([X, K], s), rows: picks(R, X, s + 1), w: columnsOf([groups, K, M + MORE], columns, s + 2, transposeW), offsets: input([groups + 1], offsets, 'int32'), out: output([R, columns]) },
      (k, { out, ...o }) => k.groupedLinear({ ...o, bias: null }, { out, pre: null }, { transposeW, activation: 'none' }),
    );
    const wide = product(M + MORE);
    product(M).forEach(({ out }, variant) => expect(Array.from(out!)).toEqual(first(wide[variant]!.out!, M + MORE, M)));
  }), runs);
});

it('few columns times matrices: as among zeros', () => {
  fc.assert(fc.property(segments, narrow, long, fc.boolean(), ([R, cuts, X, s], K, M, transposeW) => {
    const offsets = offsetsOf(cuts, R);
    const groups = offsets.length - 1;
    const x = columnsOf([1, X, K], K, s).data as Float32Array;
    const w = columnsOf([groups, K, M], M, s + 2).data as Float32Array;
    const product = (depth: number) => {
      const at = (group: number, k: number, column: number): number => (k < K ? w[(group * K + k) * M + column]! : 0);
      const matrices = Float32Array.from({ length: groups * depth * M }, (_, place) => {
        const [group, rest] = [Math.floor(place / (depth * M)), place % (depth * M)];
        return transposeW ? at(group, rest % depth, Math.floor(rest / depth)) : at(group, Math.floor(rest / M), rest % M);
      });
      const rowsOfX = Float32Array.from({ length: X * depth }, (_, place) => (place % depth < K ? x[Math.floor(place / depth) * K + (place % depth)]! : 0));
      return rig.outputs(
        { x: input([X, depth], rowsOfX), rows: picks(R, X, s + 1), w: input(transposeW ? [groups, M, depth] : [groups, depth, M], matrices), offsets: input([groups + 1], offsets, 'int32'), out: output([R, M]) },
        (k, { out, ...o }) => k.groupedLinear({ ...o, bias: null }, { out, pre: null }, { transposeW, activation: 'none' }),
      );
    };
    const wide = product(K + MORE);
    product(K).forEach(({ out }, variant) => expect(Array.from(out!)).toEqual(Array.from(wide[variant]!.out!)));
  }), runs);
});

it('gradients of matrices of few columns, and of few lines', () => {
  fc.assert(fc.property(segments, long, narrow, fc.boolean(), fc.boolean(), ([R, cuts, X, s], wideSide, M, fewLines, scaled) => {
    const offsets = offsetsOf(cuts, R);
    const groups = offsets.length - 1;
    const gradient = (side: number) => {
      const [few, many] = [columnsOf([1, X, M + MORE], side, s + 2), columnsOf([1, X, wideSide], wideSide, s)].map(({ data, shape }) => input(shape.slice(1), data!)) as [Given, Given];
      const [K, N] = fewLines ? [side, wideSide] : [wideSide, side];
      return rig.outputs(
        {
          x: fewLines ? few : many, dy: fewLines ? many : few, xRows: picks(R, X, s + 1), dyRows: picks(R, X, s + 3), scale: input([R], s + 4),
          offsets: input([groups + 1], offsets, 'int32'), dw: output([groups, K, N]), dbias: output([groups, N]),
        },
        (k, { dw, dbias, scale, ...o }) => k.groupedLinearWeightGrad({ ...o, scale: scaled ? scale : null }, { dw, dbias }),
      );
    };
    const wide = gradient(M + MORE);
    gradient(M).forEach(({ dw, dbias }, variant) => {
      const { dw: all, dbias: biases } = wide[variant]!;
      if (fewLines) { // the first M lines of each matrix
        expect(Array.from(dw!)).toEqual(Array.from(all!).filter((_, at) => at % ((M + MORE) * wideSide) < M * wideSide));
        expect(Array.from(dbias!)).toEqual(Array.from(biases!));
      } else {
        expect(Array.from(dw!)).toEqual(first(all!, M + MORE, M));
        expect(Array.from(dbias!)).toEqual(first(biases!, M + MORE, M));
      }
    });
  }), runs);
});

it('an expert has the bits of its products one after the other, and no number of threads shows', () => {
  fc.assert(fc.property(long, long, narrow, fc.integer({ min: 1, max: 1e6 }), (T, D, S, s) => {
    const N = 3;
    const rows = input([T], Array.from({ length: T }, (_, row) => row), 'int32');
    const given = {
      x: input([T, D], s), w1: input([N, D, S], s + 1), b1: input([N, S], s + 2), w2: input([N, S, D], s + 3), b2: input([N, D], s + 4), rowToken: rows, rowClaim: rows, claimRow: input([T, 1], rows.data!, 'int32'),
      weights: input([T, 1], s + 5), dy: input([T, D], s + 6), offsets: input([N + 1], [0, Math.floor(T / 3), Math.floor(T / 2), T], 'int32'),
      out: output([T, D]), pre: output([T, S]), units: output([T, S]), parts: output([T, D]), rowGradients: output([T, D]), dWeights: output([T, 1]),
      dw1: output([N, D, S]), db1: output([N, S]), dw2: output([N, S, D]), db2: output([N, D]),
    };
    const call: Parameters<typeof rig.outputs<keyof typeof given>>[1] = (k, { out, pre, units, parts, rowGradients, dWeights, dw1, db1, dw2, db2, ...o }) => {
      k.expertsForward({ ...o, rowSelf: null }, { out, pre, hidden: units }, { activation: 'gelu-tanh' });
      k.groupedLinear({ x: units, rows: null, w: o.w2, bias: o.b2, offsets: o.offsets }, { out: parts, pre: null }, { transposeW: false, activation: 'none' });
      k.expertsBackward({ ...o, pre, rowSelf: null }, { rowGradients, dWeights, dw1, db1, dw2, db2 }, { activation: 'gelu-tanh' });
    };
    for (const { out, parts } of rig.outputs(given, call)) expect(Array.from(out!)).toEqual(Array.from(parts!));
    expect(rig.ignoresThreads(given, call)).toBe(true);
  }), { numRuns: 10 });
});
