// First products with known numbers, before anything depends on the compiled kernels. Not a test of all of them.
import type { Backend, DType, Kernels, Operand } from '@xmoe/core';

const [M, K, N] = [19, 401, 23]; // tiles that are not whole, and a cut of K

const left = (row: number, k: number): number => ((7 * row + k) % 13) - 6;
const right = (k: number, column: number): number => ((k + 5 * column) % 11) - 5;

/** Small integers, row by row. */
function matrix(rows: number, columns: number, value: (row: number, column: number) => number): Float32Array {
  return Float32Array.from({ length: rows * columns }, (_, i) => value(Math.floor(i / columns), i % columns));
}

function expectedProduct(): Float32Array {
  return matrix(M, N, (row, column) => {
    let sum = 0;
    for (let k = 0; k < K; k++) sum += left(row, k) * right(k, column);
    return sum;
  });
}

/** Whether `backend` multiplies small integers exactly, by every kernel that products go through. */
export async function passesSelfCheck(backend: Backend): Promise<boolean> {
  const made: Operand[] = [];
  const make = (shape: readonly number[], values: ArrayLike<number>, dtype: DType = 'float32'): Operand => {
    const operand: Operand = { buffer: backend.allocate(dtype, values.length), shape, dtype };
    backend.write(operand, values);
    made.push(operand);
    return operand;
  };
  const products = multiplyInAllWays(backend.kernels as Kernels, make);
  const found = await Promise.all(products.map((product) => backend.read(product)));
  for (const { buffer } of made) backend.free(buffer);
  const expected = expectedProduct();
  return found.every((values) => values.every((value, i) => value === expected[i]));
}

function multiplyInAllWays(kernels: Kernels, make: (shape: readonly number[], values: ArrayLike<number>, dtype?: DType) => Operand): Operand[] {
  const a = [make([1, M, K], matrix(M, K, left)), make([1, K, M], matrix(K, M, (k, row) => left(row, k)))];
  const b = [make([1, K, N], matrix(K, N, right)), make([1, N, K], matrix(N, K, (column, k) => right(k, column)))];
  const products = Array.from({ length: 6 }, () => make([1, M, N], new Float32Array(M * N).fill(NaN)));
  for (const [index, out] of products.slice(0, 4).entries()) {
    const [transposeA, transposeB] = [index >= 2, index % 2 === 1];
    kernels.matmul({ a: a[Number(transposeA)], b: b[Number(transposeB)] }, { out }, { transposeA, transposeB });
  }
  const flat = (operand: Operand): Operand => ({ ...operand, shape: operand.shape.slice(1) });
  const rows = make([M], Array.from({ length: M }, (_, row) => row), 'int32');
  kernels.groupedLinear(
    { x: flat(a[0]), rows, w: b[0], bias: null, offsets: make([2], [0, M], 'int32') },
    { out: flat(products[4]), pre: null }, { transposeW: false, activation: 'none' },
  );
  kernels.groupedLinearWeightGrad(
    { x: flat(a[1]), xRows: null, dy: flat(b[0]), dyRows: null, scale: null, offsets: make([2], [0, K], 'int32') },
    { dw: products[5], dbias: null },
  );
  return products;
}
