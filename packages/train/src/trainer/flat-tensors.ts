// Tensors as one array of the host, one behind the other.
import { sizeOf, type ParameterSpec, type Tensor } from '@xmoe/core';

export interface FlatTensors {
  readonly specs: readonly ParameterSpec[];
  /** Where they begin among those that they were cut from. */
  readonly begin: number;
  readonly length: number;
  /** A copy. */
  read(tensors: Readonly<Record<string, Tensor>>): Promise<Float32Array>;
  /** Views of `values`, by name. */
  cut(values: Float32Array): [name: string, values: Float32Array][];
}

export function createFlat(specs: readonly ParameterSpec[], begin = 0): FlatTensors {
  const begins = [0];
  for (const { shape } of specs) begins.push(begins.at(-1)! + sizeOf(shape));
  const length = begins.at(-1)!;
  return {
    specs,
    begin,
    length,
    async read(tensors) {
      const arrays = (await Promise.all(specs.map(({ name }) => tensors[name]!.data()))) as Float32Array[];
      if (arrays.length === 1) return arrays[0]!;
      const out = new Float32Array(length);
      arrays.forEach((array, index) => out.set(array, begins[index]));
      return out;
    },
    cut: (values) => specs.map(({ name }, index) => [name, values.subarray(begins[index], begins[index + 1])]),
  };
}

/** Neighbours together while they are at most `most` numbers; a tensor that is larger is alone. */
export function cutFlat(specs: readonly ParameterSpec[], most: number): FlatTensors[] {
  const groups: { specs: ParameterSpec[]; length: number }[] = [];
  for (const spec of specs) {
    const [last, length] = [groups.at(-1), sizeOf(spec.shape)];
    if (!last || last.length + length > most) groups.push({ specs: [spec], length });
    else {
      last.specs.push(spec);
      last.length += length;
    }
  }
  let begin = 0;
  return groups.map((group) => createFlat(group.specs, (begin += group.length) - group.length));
}
