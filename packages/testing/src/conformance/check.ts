// Runs one case on one backend and on the reference, and lists every way in which they differ.
import {
  foldIn, hashName, randomKey, sizeOf,
  type Backend, type BackendBuffer, type DType, type Kernels, type Operand, type TensorData,
} from '@xmoe/core';
import type { ConformanceCase, OperandSpec } from './case.js';
import { differences } from './compare.js';

type Contents = Record<string, TensorData>;

export interface Expectation {
  readonly inputs: Contents;
  readonly outputs: Contents;
}

/** What outputs hold before the call: anything that would show if a kernel left it there. */
const JUNK: readonly Record<DType, number>[] = [
  { float32: NaN, float16: NaN, int32: 0x5eadbeef, uint32: 0xdeadbeef, bool: 1 },
  { float32: -3e30, float16: 777, int32: -77, uint32: 7, bool: 0 },
];

/** Runs the case on the reference backend. Its inputs (rounded as stored) are what other backends are given. */
export async function expectationOf(item: ConformanceCase, reference: Backend): Promise<Expectation> {
  const operands = allocateAll(item, reference);
  for (const [name, spec] of Object.entries(item.operands)) {
    const key = foldIn(randomKey(hashName(item.primitive)), `${item.label}/${name}`);
    reference.write(operands[name], spec.data ? spec.data(sizeOf(spec.shape), key) : junk(spec, 0));
  }
  const kernels = reference.kernels as Kernels;
  item.prepare?.(kernels, operands);
  const inputs = await readAll(item, reference, operands, (spec) => spec.role !== 'output');
  item.run(kernels, operands);
  const outputs = await readAll(item, reference, operands, (spec) => spec.role !== 'input');
  freeAll(reference, operands);
  return { inputs, outputs };
}

/**
 * Runs the case twice with `kernels` on `backend`, over different junk, and returns what is wrong: values, stale contents,
 * changed inputs, or a second answer that is not the first.
 */
export async function problemsOf(
  item: ConformanceCase, backend: Backend, kernels: Partial<Kernels>, expected: Expectation,
): Promise<string[]> {
  const operands = allocateAll(item, backend);
  try {
    const first = await runOnce(item, backend, kernels, operands, expected, 0);
    const problems = compareOutputs(item, first, expected.outputs);
    const inputsAfter = await readAll(item, backend, operands, (spec) => spec.role === 'input');
    for (const [name, data] of Object.entries(inputsAfter)) {
      problems.push(...differences(`input ${name} after the call`, data, expected.inputs[name], 'exact'));
    }
    const second = await runOnce(item, backend, kernels, operands, expected, 1);
    for (const [name, data] of Object.entries(second)) {
      problems.push(...differences(`${name} of the second call`, data, first[name], 'exact'));
    }
    return problems;
  } finally {
    freeAll(backend, operands);
  }
}

function compareOutputs(item: ConformanceCase, actual: Contents, expected: Contents): string[] {
  return Object.entries(actual).flatMap(([name, data]) => {
    const whole = item.operands[name].dtype !== 'float32' && item.operands[name].dtype !== 'float16';
    return differences(name, data, expected[name], whole ? 'exact' : item.tolerance);
  });
}

async function runOnce(
  item: ConformanceCase, backend: Backend, kernels: Partial<Kernels>, operands: Record<string, Operand>,
  expected: Expectation, round: number,
): Promise<Contents> {
  for (const [name, spec] of Object.entries(item.operands)) {
    backend.write(operands[name], spec.role === 'output' ? junk(spec, round) : expected.inputs[name]);
  }
  item.run(kernels, operands);
  return readAll(item, backend, operands, (spec) => spec.role !== 'input');
}

function junk(spec: OperandSpec, round: number): Float64Array {
  return new Float64Array(sizeOf(spec.shape)).fill(JUNK[round][spec.dtype]);
}

/** Like a Tensor, its buffer is a getter: a kernel that spreads an operand loses it here as it would there. */
class GivenOperand implements Operand {
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly #buffer: BackendBuffer;

  constructor({ shape, dtype }: OperandSpec, backend: Backend) {
    this.shape = shape;
    this.dtype = dtype;
    this.#buffer = backend.allocate(dtype, sizeOf(shape));
  }

  get buffer(): BackendBuffer {
    return this.#buffer;
  }
}

function allocateAll(item: ConformanceCase, backend: Backend): Record<string, Operand> {
  return Object.fromEntries(Object.entries(item.operands).map(([name, spec]) => [name, new GivenOperand(spec, backend)]));
}

async function readAll(
  item: ConformanceCase, backend: Backend, operands: Record<string, Operand>, wanted: (spec: OperandSpec) => boolean,
): Promise<Contents> {
  const contents: Contents = {};
  for (const [name, spec] of Object.entries(item.operands)) {
    if (wanted(spec)) contents[name] = await backend.read(operands[name]);
  }
  return contents;
}

function freeAll(backend: Backend, operands: Record<string, Operand>): void {
  for (const operand of Object.values(operands)) backend.free(operand.buffer);
}
