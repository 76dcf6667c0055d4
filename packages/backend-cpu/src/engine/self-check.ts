// A first product with known numbers, before anything depends on the compiled kernels. Not a test of all of them.
import type { Backend, Operand } from '@xmoe/core';

const [M, K, N] = [19, 401, 23]; // tiles that are not whole, and a cut of K

/** Whether `backend` multiplies small integers exactly, with every instruction that products use. */
export async function passesSelfCheck(backend: Backend): Promise<boolean> {
  const make = (rows: number, columns: number, value: (row: number, column: number) => number): Operand => {
    const operand: Operand = { buffer: backend.allocate('float32', rows * columns), shape: [1, rows, columns], dtype: 'float32' };
    backend.write(operand, Float32Array.from({ length: rows * columns }, (_, i) => value(Math.floor(i / columns), i % columns)));
    return operand;
  };
  const left = (row: number, k: number): number => ((7 * row + k) % 13) - 6;
  const right = (k: number, column: number): number => ((k + 5 * column) % 11) - 5;
  const operands = [make(M, K, left), make(K, N, right), make(M, N, () => NaN)] as const;
  backend.kernels.matmul(...operands, { transposeA: false, transposeB: false });
  const found = await backend.read(operands[2]);
  for (const { buffer } of operands) backend.free(buffer);
  return found.every((value, i) => {
    let wanted = 0;
    for (let k = 0; k < K; k++) wanted += left(Math.floor(i / N), k) * right(k, i % N);
    return value === wanted;
  });
}
