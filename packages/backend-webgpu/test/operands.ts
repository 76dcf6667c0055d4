// Buffers with contents, for tests that call kernels themselves.
import { sizeOf, type Backend, type DType, type Operand } from '@xmoe/core';

export function operand(backend: Backend, shape: readonly number[], values?: ArrayLike<number>, dtype: DType = 'float32'): Operand {
  const made = { buffer: backend.allocate(dtype, sizeOf(shape)), shape, dtype };
  if (values) backend.write(made, values);
  return made;
}

export async function contents(backend: Backend, item: Operand): Promise<number[]> {
  return Array.from(await backend.read(item));
}

export function release(backend: Backend, ...items: readonly Operand[]): void {
  for (const { buffer } of items) backend.free(buffer);
}
