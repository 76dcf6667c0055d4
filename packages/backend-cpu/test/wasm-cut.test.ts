// Bit-equal results for any number of threads: every conformance case, cut into as many pieces as it has work items (at most
// twelve) on four and on two threads, against one thread that does not cut. Where the re-vectorised kernels run, they are cut too:
// they join operations but compute the same.
import { afterAll, expect, it, vi } from 'vitest';
import { foldIn, hashName, randomKey, sizeOf, type Backend, type Kernels, type Operand, type TensorData } from '@xmoe/core';
import { createCpuBackend, createWasmBackend } from '@xmoe/backend-cpu';
import { conformanceCases } from '@xmoe/testing';
import { whyNotRevectorized } from '../src/engine/platform.js';
import type * as team from '../src/engine/team.js';

type Case = ReturnType<typeof conformanceCases>[number];

// As the real team, with pieces as small as they get.
vi.mock('../src/engine/team.js', async (original) => {
  const real = await original<typeof team>();
  const createTeam: typeof real.createTeam = async (options) => {
    const made = await real.createTeam(options);
    return { ...made, run: (kernel, total, _grain, args) => made.run(kernel, total, 1, args) };
  };
  return { ...real, createTeam };
});

const plain = createCpuBackend();
const whole = await createWasmBackend({ threads: 1 });
const cut = await Promise.all([2, 4].map((threads) => createWasmBackend({ threads })));
if (whyNotRevectorized() === undefined) cut.push(await createWasmBackend({ threads: 3, variant: 'revectorized' }));
afterAll(() => [whole, ...cut].forEach((backend) => backend.dispose()));

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
