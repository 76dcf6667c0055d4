// What the tests of this package share: operands on a backend, random contents, and central differences in float64.
import { sizeOf, type Backend, type DType, type Kernels, type Operand } from '@xmoe/core';
import { fillUniform } from '@xmoe/core/backend';
import { createCpuBackend } from '@xmoe/backend-cpu';

export interface Bench {
  readonly backend: Backend;
  readonly kernels: Kernels;
  make(shape: readonly number[], data?: ArrayLike<number>, dtype?: DType): Operand;
  read(operand: Operand): number[];
}

/** Operands and kernels of a backend that computes in doubles (or singles). */
export function createBench(accumulate: 'float32' | 'float64' = 'float64'): Bench {
  const backend = createCpuBackend({ accumulate });
  return {
    backend,
    kernels: backend.kernels as Kernels,
    make(shape, data = new Float64Array(sizeOf(shape)).fill(NaN), dtype = 'float32') {
      const operand = { buffer: backend.allocate(dtype, sizeOf(shape)), shape, dtype };
      backend.write(operand, data);
      return operand;
    },
    read: (operand) => Array.from(backend.readSync!(operand)),
  };
}

/** `length` numbers in [−1, 1), different for each seed. */
export function randoms(length: number, seed: number): Float64Array {
  const out = new Float64Array(length);
  fillUniform([seed, 77], 0, out);
  return out.map((value) => 2 * value - 1);
}

/** The largest |a − b|; NaN if anything is. */
export function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return NaN;
  let largest = 0;
  for (let i = 0; i < a.length; i++) largest = Math.max(largest, Math.abs(a[i] - b[i]));
  return largest;
}

/** d loss / d values by central differences. */
export function numericalGradient(loss: (values: Float64Array) => number, at: ArrayLike<number>, step = 1e-5): number[] {
  return Array.from(at, (_, index) => {
    const moved = (by: number): number => {
      const values = Float64Array.from(at);
      values[index] += by;
      return loss(values);
    };
    return (moved(step) - moved(-step)) / (2 * step);
  });
}

/** Σ aᵢ·bᵢ: a loss whose gradient is b. */
export function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}
