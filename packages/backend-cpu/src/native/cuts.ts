// Whether a library gives an element the same bits in whatever block of a product it lies, as the compiled kernels do: asked of its kernels on this
// processor, by products of random numbers that are cut as src/engine/kernels/blocks.ts cuts them. Finding wrong numbers is check.ts's.
import { LEAST_FREE_WORK, evenSide } from '../engine/kernels/blocks.js';
import type { Multiply } from '../engine/products.js';

/** Whole and broken tiles, and sums that libraries cut into slices (K). */
const SHAPES: readonly (readonly [M: number, N: number, K: number])[] = [[256, 192, 300], [389, 131, 129], [130, 520, 90], [170, 150, 1000], [272, 640, 41]];
/** Into how many parts rows and columns are cut. */
const CUTS: readonly (readonly [rows: number, columns: number])[] = [[2, 1], [1, 3], [2, 2]];

/** Holds both operands of the largest product, and its result twice. */
export const CUTS_BYTES = 2 ** 22;

/** `multiply` takes addresses in `memory`, of CUTS_BYTES. */
export function cutsDoNotShow(multiply: Multiply, memory: SharedArrayBuffer): boolean {
  return SHAPES.every(([M, N, K]) => {
    const a = randomFloats(memory, 0, M * K);
    const b = randomFloats(memory, a.byteLength, K * N);
    const [whole, cut] = [0, 1].map((index) => new Float32Array(memory, a.byteLength + b.byteLength + 4 * index * M * N, M * N));
    return [0, 1, 2, 3].every((form) => {
      const [transposeA, transposeB] = [form >> 1, form & 1];
      const [strideA, strideB] = [transposeA ? M : K, transposeB ? K : N];
      const block = (out: Float32Array, row: number, column: number, rows: number, columns: number): void =>
        multiply(
          transposeA, transposeB, rows, columns, K, a.byteOffset + 4 * (transposeA ? row : row * strideA), strideA,
          b.byteOffset + 4 * (transposeB ? column * strideB : column), strideB, 0, out.byteOffset + 4 * (row * N + column), N,
        );
      block(whole, 0, 0, M, N);
      return CUTS.every(([rowParts, columnParts]) => {
        const [rows, columns] = [evenSide(M, rowParts), evenSide(N, columnParts)];
        if (rows * columns * K < LEAST_FREE_WORK) return true; // no block is cut so small
        for (let row = 0; row < M; row += rows) {
          for (let column = 0; column < N; column += columns) block(cut, row, column, Math.min(rows, M - row), Math.min(columns, N - column));
        }
        return haveSameBits(whole, cut);
      });
    });
  });
}

function haveSameBits(left: Float32Array, right: Float32Array): boolean {
  const [a, b] = [left, right].map(({ buffer, byteOffset, length }) => new Int32Array(buffer, byteOffset, length));
  return a.every((bits, index) => bits === b[index]);
}

/** In [−½, ½), the same every time. */
function randomFloats(memory: SharedArrayBuffer, offset: number, length: number): Float32Array {
  const floats = new Float32Array(memory, offset, length);
  let state = length;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    floats[i] = state / 2 ** 32;
  }
  return floats;
}
