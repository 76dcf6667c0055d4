// Whether a library multiplies right, before anything depends on it: all transposes, narrow and odd shapes, sums and fresh results, what lies
// around a matrix, and NaN and infinity as the standard has them. Small integers, so that every order of summation is exact.
import type { Multiply } from '../engine/products.js';

const SHAPES: readonly (readonly [M: number, N: number, K: number])[] = [
  [1, 1, 1], [1, 259, 300], [257, 1, 64], [45, 33, 33], [8, 8, 8], [64, 64, 64], [17, 23, 1], [67, 95, 401], [272, 129, 40], [16, 48, 260],
];
/** Columns that are not part of the matrices. */
const GAP = 3;
const KEPT = -77;

const left = (row: number, k: number): number => ((7 * row + k) % 13) - 6;
const right = (k: number, column: number): number => ((k + 5 * column) % 11) - 5;

/** Holds the largest three matrices. */
export const CHECK_BYTES = 2 ** 20;

/** Undefined where all is right, else what is not. `multiply` takes addresses in `memory`, of CHECK_BYTES. */
export function whyNotRight(multiply: Multiply, memory: SharedArrayBuffer): string | undefined {
  for (const shape of SHAPES) {
    const wanted = productOf(shape);
    for (const accumulate of [0, 1]) {
      for (let form = 0; form < 4; form++) {
        const matrices = createMatrices(memory, shape, form >> 1, form & 1);
        if (!multipliesExactly(multiply, matrices, shape, wanted, accumulate)) return `it computes wrong numbers: ${formatProduct(shape, form, accumulate)}`;
      }
    }
  }
  return passesSpoiled(multiply, memory) ? undefined : 'it hides NaN or infinity of its operands, or shows what the result held before';
}

type Shape = (typeof SHAPES)[number];
type Matrices = ReturnType<typeof createMatrices>;

const formatProduct = ([M, N, K]: Shape, form: number, accumulate: number): string =>
  `[${M}, ${K}]${form & 2 ? 'ᵀ' : ''} · [${K}, ${N}]${form & 1 ? 'ᵀ' : ''}${accumulate ? ', added' : ''}`;

function productOf([M, N, K]: Shape): Float32Array {
  return Float32Array.from({ length: M * N }, (_, i) => {
    let sum = 0;
    for (let k = 0; k < K; k++) sum += left(Math.floor(i / N), k) * right(k, i % N);
    return sum;
  });
}

/** Three matrices, with rows a gap longer than they are; ᵀ: stored with rows and columns exchanged. */
function createMatrices(memory: SharedArrayBuffer, [M, N, K]: Shape, transposeA: number, transposeB: number) {
  const [rowsA, strideA] = [transposeA ? K : M, (transposeA ? M : K) + GAP];
  const [rowsB, strideB] = [transposeB ? N : K, (transposeB ? K : N) + GAP];
  const strideOut = N + GAP;
  const a = new Float32Array(memory, 0, rowsA * strideA);
  const b = new Float32Array(memory, a.byteLength, rowsB * strideB);
  const out = new Float32Array(memory, a.byteLength + b.byteLength, M * strideOut);
  return {
    a, b, out, strideOut,
    atA: (row: number, k: number): number => (transposeA ? k * strideA + row : row * strideA + k),
    atB: (k: number, column: number): number => (transposeB ? column * strideB + k : k * strideB + column),
    run: (multiply: Multiply, accumulate: number): void =>
      multiply(transposeA, transposeB, M, N, K, a.byteOffset, strideA, b.byteOffset, strideB, accumulate, out.byteOffset, strideOut),
  };
}

function multipliesExactly(multiply: Multiply, { a, b, out, strideOut, atA, atB, run }: Matrices, [M, N, K]: Shape, wanted: Float32Array, accumulate: number): boolean {
  // What lies between the rows would spoil a sum; what a fresh result held must not show.
  for (const operand of [a, b]) operand.fill(NaN);
  out.fill(KEPT);
  for (let row = 0; row < M; row++) for (let k = 0; k < K; k++) a[atA(row, k)] = left(row, k);
  for (let k = 0; k < K; k++) for (let column = 0; column < N; column++) b[atB(k, column)] = right(k, column);
  for (let row = 0; row < M; row++) out.fill(accumulate ? row : NaN, row * strideOut, row * strideOut + N);
  run(multiply, accumulate);
  return out.every((value, i) => {
    const [row, column] = [Math.floor(i / strideOut), i % strideOut];
    return value === (column < N ? wanted[row * N + column] + (accumulate ? row : 0) : KEPT);
  });
}

/** A row with NaN, one with infinity, and zeros that meet an infinity: NaN, infinity and NaN, and nowhere else. */
function passesSpoiled(multiply: Multiply, memory: SharedArrayBuffer): boolean {
  const [M, N, K] = [20, 18, 70];
  const { a, b, out, strideOut, atA, atB, run } = createMatrices(memory, [M, N, K], 0, 0);
  a.fill(1);
  b.fill(1);
  out.fill(NaN);
  a[atA(3, 11)] = NaN;
  a[atA(7, 0)] = Infinity;
  a.fill(0, atA(9, 0), atA(9, K));
  b[atB(5, 4)] = -Infinity;
  run(multiply, 0);
  const wanted = (row: number, column: number): number => {
    if (row === 3) return NaN;
    if (column === 4) return row === 7 || row === 9 ? NaN : -Infinity;
    return row === 7 ? Infinity : row === 9 ? 0 : K;
  };
  return out.every((value, i) => i % strideOut >= N || Object.is(value, wanted(Math.floor(i / strideOut), i % strideOut)));
}
