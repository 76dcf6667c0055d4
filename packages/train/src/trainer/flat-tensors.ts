// Tensors as one array of the host, one behind the other.
import { sizeOf, type ParameterSpec, type Tensor } from '@xmoe/core';

export interface FlatTensors {
  readonly names: readonly string[];
  readonly length: number;
  /** Disposes the tensors. */
  read(tensors: Readonly<Record<string, Tensor>>): Promise<Float32Array>;
  /** Those of tensor `index`. */
  part(values: Float32Array, index: number): Float32Array;
}

export function createFlat(specs: readonly ParameterSpec[]): FlatTensors {
  const begins = [0];
  for (const { shape } of specs) begins.push(begins.at(-1)! + sizeOf(shape));
  const length = begins.at(-1)!;
  const part = (values: Float32Array, index: number): Float32Array => values.subarray(begins[index], begins[index + 1]);
  return {
    names: specs.map(({ name }) => name),
    length,
    async read(tensors) {
      const out = new Float32Array(length);
      try {
        const arrays = await Promise.all(specs.map(({ name }) => tensors[name]!.data()));
        arrays.forEach((array, index) => out.set(array as Float32Array, begins[index]));
      } finally {
        for (const tensor of Object.values(tensors)) tensor.dispose();
      }
      return out;
    },
    part,
  };
}
