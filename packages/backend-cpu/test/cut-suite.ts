// Bit-equal results for any number of threads, for whichever backends a test file opens: every conformance case on one thread that does not cut,
// against teams that do. How small the pieces are is the file's business. No tests of its own.
import { expect, it } from 'vitest';
import { foldIn, hashName, randomKey, sizeOf, type Backend, type Kernels, type Operand, type TensorData } from '@xmoe/core';
import { createCpuBackend } from '@xmoe/backend-cpu';
import { conformanceCases } from '@xmoe/testing';

type Case = ReturnType<typeof conformanceCases>[number];

const plain = createCpuBackend();

function allocate(item: Case, backend: Backend): Record<string, Operand> {
  return Object.fromEntries(Object.entries(item.operands).map(([name, { shape, dtype }]) => [name, { buffer: backend.allocate(dtype, sizeOf(shape)), shape, dtype }]));
}

/** What a case starts from, as the conformance suite prepares it. */
function inputsOf(item: Case): Record<string, TensorData> {
  const operands = allocate(item, plain);
  for (const [name, spec] of Object.entries(item.operands)) {
    const key = foldIn(randomKey(hashName(item.primitive)), `${item.label}/${name}`);
    plain.write(operands[name], spec.data ? spec.data(sizeOf(spec.shape), key) : new Float64Array(sizeOf(spec.shape)));
  }
  item.prepare?.(plain.kernels as Kernels, operands);
  return Object.fromEntries(Object.entries(operands).map(([name, operand]) => [name, plain.readSync!(operand)]));
}

function outputsOf(item: Case, backend: Backend, inputs: Record<string, TensorData>): [string, TensorData][] {
  const operands = allocate(item, backend);
  for (const [name, operand] of Object.entries(operands)) backend.write(operand, inputs[name]);
  item.run(backend.kernels, operands);
  const outputs = Object.entries(operands).map(([name, operand]): [string, TensorData] => [name, backend.readSync!(operand)]);
  for (const { buffer } of Object.values(operands)) backend.free(buffer);
  return outputs;
}

const bits = (data: TensorData): Buffer => Buffer.from(data.buffer, data.byteOffset, data.byteLength);

const small = (item: Case): boolean => Object.values(item.operands).every(({ shape }) => sizeOf(shape) <= 300_000);
const primitives = new Set(conformanceCases().map(({ primitive }) => primitive));

/** One test per primitive. */
export function describeCut(whole: Backend, cut: readonly Backend[]): void {
  for (const primitive of primitives) {
    it(`${primitive} does not depend on the cut`, () => {
      for (const item of conformanceCases().filter((candidate) => candidate.primitive === primitive && small(candidate))) {
        const inputs = inputsOf(item);
        const wanted = outputsOf(item, whole, inputs);
        for (const backend of cut) {
          for (const [index, [name, data]] of outputsOf(item, backend, inputs).entries()) {
            expect(bits(data).equals(bits(wanted[index][1])), `${item.label} ${item.dtype}: ${name} with ${backend.description}`).toBe(true);
          }
        }
      }
    });
  }
}
