// Steps recorded as graphs of TensorFlow's own library, where it is built: kernels from a graph are held to the conformance suite; what a
// recording leaves behind, and when it is refused. That a trainer's numbers stay the same is in @xmoe/testing.
import { mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { sizeOf, type AnyKernel, type Backend, type CommandRecording, type Operand, type OperandField } from '@xmoe/core';
import { UPDATERS } from '@xmoe/kernels-host';
import { runConformance } from '@xmoe/testing';
import { createTfjsBackend, type TfjsBackend } from '@xmoe/backend-tfjs';
import { createTfjsBackendFor, loadTfjs } from '@xmoe/backend-tfjs/node';
import { nativeTensorflow } from './native.js';

const { available, reason } = await nativeTensorflow();
const dtypes = ['float32', 'int32', 'uint32', 'bool'] as const;

/** Every kernel recorded, its outputs spoiled, and replayed. */
async function createReplayedBackend(): Promise<Backend> {
  const backend = await createTfjsBackendFor('node');
  const spoil = (field: OperandField): void => {
    if (field === null) return;
    if (!('buffer' in field)) return field.forEach(spoil);
    backend.write(field, new Array<number>(sizeOf(field.shape)).fill(1));
  };
  const kernels = Object.entries(backend.kernels).map(([name, kernel]) => [name, (...[inputs, outputs, attributes]: Parameters<AnyKernel>) => {
    const recording = backend.record!(() => (kernel as AnyKernel)(inputs, outputs, attributes));
    if ('refused' in recording) throw new Error(recording.refused);
    if (!UPDATERS.has(name)) {
      Object.values(outputs).forEach(spoil);
      recording.replay();
    }
    recording.dispose();
  }]);
  return { ...backend, kernels: Object.fromEntries(kernels) as Backend['kernels'] };
}

/** What is done otherwise in a recording, since nothing may be read, and a few of each other kind. A graph for each case takes its time: not the large ones. */
const primitives = [
  'gatherRows', 'scatterAddRows', 'takeAlongLast', 'addAlongLast', 'topK', 'sortByKey', 'groupedMatmul', 'groupedMatmulWeightGrad', 'groupedLinear', 'groupedLinearWeightGrad',
  'expertsGrad', 'combineExperts', 'combineExpertsGrad', 'dropout', 'attention', 'attentionGrad', 'sumSquares', 'adamStep', 'random', 'select', 'concat', 'reduce', 'matmul',
  'layerNormGrad', 'crossEntropyGrad', 'biasActivationGrad',
] as const;

describe.skipIf(!available)(`on ${reason}`, () => {
  runConformance({ describe, it, expect }, 'kernels replayed from graphs', createReplayedBackend, { dtypes, primitives, variants: 'native', maxElements: 500 });
});

describe.skipIf(!available)(`a recording on ${reason}`, () => {
  let backend: TfjsBackend;
  let folder: string;
  beforeAll(async () => {
    backend = await createTfjsBackendFor('node');
  });
  afterAll(() => backend.dispose());
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'xmoe-test-'));
    vi.stubEnv('TMPDIR', folder);
  });
  afterEach(() => {
    vi.unstubAllEnvs();
    expect(readdirSync(folder)).toEqual([]);
  });

  const operand = (shape: number[], data?: ArrayLike<number>, dtype: 'float32' | 'int32' | 'uint32' = 'float32'): Operand => {
    const made = { buffer: backend.allocate(dtype, sizeOf(shape)), shape, dtype };
    if (data) backend.write(made, data);
    return made;
  };
  const numbers = (x: Operand): number[] => Array.from(backend.readSync!(x));
  const record = (fn: () => void): CommandRecording => {
    const recording = backend.record!(fn);
    if ('refused' in recording) throw new Error(recording.refused);
    return recording;
  };
  const multiply = (a: Operand, b: Operand, out: Operand): void => backend.kernels.binary({ a, b }, { out }, { op: 'multiply' });
  const handles = (): number => (backend.tf.engine().findBackend('tensorflow') as unknown as { binding: { getNumOfTensors(): number } }).binding.getNumOfTensors();

  it('takes what its inputs hold, and fills what was made in it', () => {
    const x = operand([3], [1, 2, 3]);
    const out = operand([3]);
    const recording = record(() => {
      const squared = operand([3]);
      multiply(x, x, squared);
      multiply(squared, x, out);
      backend.free(squared.buffer);
    });
    expect(numbers(out)).toEqual([1, 8, 27]);
    backend.write(x, [2, 0, -1]);
    recording.replay();
    expect(numbers(out)).toEqual([8, 0, -1]);
    recording.dispose();
    expect(() => recording.replay()).toThrow(/after it was disposed/);
    [x, out].forEach(({ buffer }) => backend.free(buffer));
  });

  it('goes from graph to host and back, and hands on what a later recording frees', () => {
    const key = operand([2], [1, 2], 'uint32');
    const x = operand([4], [1, 2, 3, 4]);
    const [drawn, sum, out] = [operand([4]), operand([4]), operand([4])];
    const random = (): void => {
      multiply(x, x, sum);
      backend.kernels.random({ key }, { out: drawn }, { stream: 3 }); // the host's
      multiply(drawn, sum, sum);
    };
    const joining = (): void => {
      multiply(sum, x, out);
      for (const { buffer } of [sum, drawn]) if (!freed) backend.free(buffer);
      freed = true;
    };
    let freed = false;
    const recordings = [record(random), record(joining)];
    const first = numbers(out);
    backend.write(key, [3, 4]);
    recordings.forEach((recording) => recording.replay());
    const second = numbers(out);
    expect(second).not.toEqual(first);
    backend.write(key, [1, 2]);
    recordings.forEach((recording) => recording.replay());
    expect(numbers(out)).toEqual(first);
    expect(() => backend.free(sum.buffer)).toThrow(/freed twice/);
    recordings.forEach((recording) => recording.dispose());
    expect(() => numbers(sum)).toThrow(/after its buffer was freed/);
    [key, x, out].forEach(({ buffer }) => backend.free(buffer));
  });

  it('holds no more from replay to replay, and nothing when it is disposed', () => {
    const x = operand([64, 64], Float32Array.from({ length: 4096 }, (_, i) => Math.sin(i)));
    const out = operand([64, 64]);
    const work = (): void => {
      const row = operand([64, 64]);
      backend.kernels.softmax!({ x }, { out: row });
      multiply(row, x, out);
      backend.free(row.buffer);
    };
    work();
    const without = [handles(), backend.memory().bytes];
    record(work).dispose();
    const recording = record(work);
    recording.replay();
    const before = [handles(), backend.memory().bytes];
    for (let i = 0; i < 50; i++) recording.replay();
    expect([handles(), backend.memory().bytes]).toEqual(before);
    recording.dispose();
    expect(handles() - without[0]!).toBeLessThan(8); // constants of recordings
    expect(backend.memory().bytes).toBe(without[1]);
    [x, out].forEach(({ buffer }) => backend.free(buffer));
  });

  it('is refused where the host reads or writes, or TensorFlow does not take the graph', async () => {
    const x = operand([2], [1, 2]);
    const out = operand([2]);
    expect(backend.record!(() => void numbers(x))).toEqual({ refused: 'a tensor is read by the host' });
    expect(backend.record!(() => backend.write(x, [3, 4]))).toEqual({ refused: 'a tensor is written by the host' });
    expect(() => record(() => record(() => multiply(x, x, out)))).toThrow(/a recording is under way/);
    const { tf } = await loadTfjs({ build: 'node' });
    const other = createTfjsBackend(tf, { backendName: 'tensorflow', showModel: (_, load) => load(folder) });
    const y = { buffer: other.allocate('float32', 2), shape: [2], dtype: 'float32' as const };
    expect(other.record!(() => other.kernels.fill({}, { out: y }, { value: 2 }))).toMatchObject({ refused: expect.stringMatching(/^TensorFlow does not take the step as a graph: .*SavedModel/) });
    expect(Array.from(other.readSync!(y))).toEqual([2, 2]);
    other.dispose();
    [x, out].forEach(({ buffer }) => backend.free(buffer));
  });

  it('is not there without a folder for graphs, or where reading waits for a GPU', async () => {
    const { tf } = await loadTfjs({ build: 'node' });
    for (const options of [{}, { waits: true, showModel: () => 0 }]) expect(createTfjsBackend(tf, { backendName: 'tensorflow', ...options }).record).toBeUndefined();
  });
});
