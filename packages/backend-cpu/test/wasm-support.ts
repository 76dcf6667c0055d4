// What the tests of the compiled kernels share: the same call on the plain backend and on compiled ones, and comparisons.
import { sizeOf, type Backend, type DType, type Kernels, type Operand, type TensorData } from '@xmoe/core';
import { createCpuBackend, createWasmBackend } from '@xmoe/backend-cpu';
import { randoms } from './support.js';

/** Shape, contents (a seed gives numbers in [−1, 1)), dtype. Outputs hold NaN, or −77, before the call. */
export interface Given {
  readonly shape: readonly number[];
  readonly data?: ArrayLike<number> | number;
  readonly dtype?: DType;
  readonly isOutput?: boolean;
}

export type Call<Names extends string> = (kernels: Kernels, operands: Record<Names, Operand>) => void;

export function input(shape: readonly number[], data: ArrayLike<number> | number, dtype: DType = 'float32'): Given {
  return { shape, data, dtype };
}

export function output(shape: readonly number[], dtype: DType = 'float32'): Given {
  return { shape, dtype, isOutput: true };
}

/** All outputs of one call on `backend`. */
function outputsOf<Names extends string>(backend: Backend, given: Record<Names, Given>, call: Call<Names>): Record<string, TensorData> {
  const operands = {} as Record<Names, Operand>;
  const entries = Object.entries(given) as [Names, Given][];
  for (const [name, { shape, data = 0, dtype = 'float32', isOutput }] of entries) {
    const length = sizeOf(shape);
    operands[name] = { buffer: backend.allocate(dtype, length), shape, dtype };
    const junk = dtype === 'float32' ? NaN : dtype === 'int32' ? -77 : 1;
    const contents = isOutput ? new Float64Array(length).fill(junk) : typeof data === 'number' ? randoms(length, data) : data;
    backend.write(operands[name], contents);
  }
  call(backend.kernels as Kernels, operands);
  const outputs: Record<string, TensorData> = {};
  for (const [name, { isOutput }] of entries) {
    if (isOutput) outputs[name] = backend.readSync!(operands[name]);
    backend.free(operands[name].buffer);
  }
  return outputs;
}

export interface Rig {
  /** The largest |compiled − plain| / (1 + |plain|) over all outputs of both variants; NaN where only one is. */
  error<Names extends string>(given: Record<Names, Given>, call: Call<Names>): number;
  /** The outputs of both variants. */
  outputs<Names extends string>(given: Record<Names, Given>, call: Call<Names>): Record<string, TensorData>[];
  /** Whether 1, 2 and 5 threads give the same bits. */
  ignoresThreads<Names extends string>(given: Record<Names, Given>, call: Call<Names>): boolean;
  dispose(): void;
}

export async function createRig(): Promise<Rig> {
  const plain = createCpuBackend();
  const variants = await Promise.all((['relaxed', 'simd'] as const).map((variant) => createWasmBackend({ threads: 2, variant })));
  const teams = await Promise.all([1, 5].map((threads) => createWasmBackend({ threads })));
  return {
    error(given, call) {
      const wanted = outputsOf(plain, given, call);
      return Math.max(...variants.map((backend) => distanceOf(outputsOf(backend, given, call), wanted)));
    },
    outputs: (given, call) => variants.map((backend) => outputsOf(backend, given, call)),
    ignoresThreads(given, call) {
      const results = [variants[0], ...teams].map((backend) => JSON.stringify(bitsOf(outputsOf(backend, given, call))));
      return results.every((result) => result === results[0]);
    },
    dispose() {
      for (const backend of [...variants, ...teams]) backend.dispose();
    },
  };
}

/** Ascending offsets from 0 over at most `rows` rows. */
export function offsetsOf(cuts: readonly number[], rows: number): number[] {
  return [0, ...cuts.map((cut) => cut % (rows + 1)).sort((a, b) => a - b)];
}

function bitsOf(outputs: Record<string, TensorData>): number[][] {
  return Object.values(outputs).map((data) => Array.from(new Uint8Array(data.buffer, data.byteOffset, data.byteLength)));
}

function distanceOf(found: Record<string, TensorData>, wanted: Record<string, TensorData>): number {
  let worst = 0;
  for (const [name, data] of Object.entries(wanted)) {
    for (let i = 0; i < data.length; i++) {
      const [a, b] = [found[name][i], data[i]];
      if (Object.is(a, b) || a === b) continue;
      worst = Math.max(worst, Number.isFinite(b) ? Math.abs(a - b) / (1 + Math.abs(b)) : NaN);
    }
  }
  return worst;
}
