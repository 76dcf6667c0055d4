// Matrix products in windows where the conformance cases have none: sums in float16 over several windows, rows gathered from several,
// batches, odd lengths. Bindings of 4 KiB; the oracle is the CPU backend.
import { createCpuBackend } from '@xmoe/backend-cpu';
import { sizeOf, type Backend, type DType, type Kernels, type Operand } from '@xmoe/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createWebGpuBackend, type WebGpuBackend } from '../src/index.js';
import { webGpuAdapter } from './adapter.js';

const { available, reason, float16 } = await webGpuAdapter();

type Make = (dtype: DType, shape: readonly number[], values?: (i: number) => number) => Operand;
interface Example {
  readonly name: string;
  readonly half?: boolean;
  /** Calls a kernel and returns its outputs. */
  run(kernels: Kernels, make: Make): readonly Operand[];
}

const wave = (salt: number) => (i: number): number => Math.sin(i * salt * 0.618 + salt);
/** Into `count` rows, with some outside. */
const index = (count: number) => (i: number): number => ((i * 7919) % (count + 2)) - 1;
const ends = (...offsets: number[]) => (i: number): number => offsets[i]!;

function matmulOf(name: string, dtype: DType, [B, M, K, N]: readonly [number, number, number, number], flags: { transposeA?: boolean; transposeB?: boolean; sharedB?: boolean }): Example {
  const { transposeA = false, transposeB = false, sharedB = false } = flags;
  return {
    name, half: dtype === 'float16',
    run(kernels, make) {
      const a = make(dtype, transposeA ? [B, K, M] : [B, M, K], wave(3));
      const batches = sharedB ? 1 : B;
      const b = make(dtype, transposeB ? [batches, N, K] : [batches, K, N], wave(5));
      const out = make(dtype, [B, M, N]);
      kernels.matmul({ a, b }, { out }, { transposeA, transposeB });
      return [out];
    },
  };
}

function linearOf(name: string, dtype: DType, X: number, R: number, [K, M]: readonly [number, number], offsets: readonly number[], transposeW: boolean): Example {
  return {
    name, half: dtype === 'float16',
    run(kernels, make) {
      const G = offsets.length - 1;
      const [out, pre] = [make(dtype, [R, M]), make(dtype, [R, M])];
      kernels.groupedLinear(
        { x: make(dtype, [X, K], wave(3)), rows: make('int32', [R], index(X)), w: make(dtype, transposeW ? [G, M, K] : [G, K, M], wave(5)), bias: make('float32', [G, M], wave(7)),
        offsets: make('int32', [G + 1], ends(...offsets)) }, { out, pre }, { transposeW, activation: 'relu' },
      );
      return [out, pre];
    },
  };
}

function weightGradOf(name: string, dtype: DType, gradDType: DType, [X, Y, R]: readonly [number | null, number | null, number], [K, M]: readonly [number, number], offsets: readonly number[]): Example {
  return {
    name, half: dtype === 'float16',
    run(kernels, make) {
      const G = offsets.length - 1;
      const [dw, dbias] = [make(gradDType, [G, K, M]), make(gradDType, [G, M])];
      kernels.groupedLinearWeightGrad(
        { x: make(dtype, [X ?? R, K], wave(3)), xRows: X === null ? null : make('int32', [R], index(X)), dy: make(dtype, [Y ?? R, M], wave(5)), dyRows: Y === null ? null : make('int32', [R], index(Y)),
        scale: make('float32', [R], wave(7)), offsets: make('int32', [G + 1], ends(...offsets)) }, { dw, dbias },
      );
      return [dw, dbias];
    },
  };
}

const EXAMPLES: readonly Example[] = [
  matmulOf('a vocabulary projection: rows of b and of out', 'float32', [1, 9, 20, 300], { transposeB: true }),
  matmulOf('its gradient for the input: the reduction, in float16', 'float16', [1, 9, 300, 20], {}),
  matmulOf('its gradient for the table: columns of a', 'float32', [1, 300, 9, 20], { transposeA: true }),
  matmulOf('several batches at once', 'float32', [40, 5, 7, 3], {}),
  matmulOf('one b for batches of transposed a, in float16', 'float16', [3, 77, 61, 33], { transposeA: true, sharedB: true }),
  matmulOf('every operand beyond the binding, nothing a multiple of 4', 'float32', [2, 67, 71, 73], { transposeB: true }),
  matmulOf('rows longer than a binding', 'float32', [1, 2, 1500, 2], {}),
  linearOf('rows gathered from several windows', 'float32', 260, 301, [8, 6], [0, 100, 100, 290], false),
  linearOf('and experts in several, in float16', 'float16', 300, 150, [16, 20], [0, 40, 90, 90, 100, 148], true),
  weightGradOf('rows in order', 'float32', 'float32', [null, null, 500], [6, 5], [0, 240, 240, 490]),
  weightGradOf('both sides gathered, sums in float16', 'float16', 'float16', [400, 350, 300], [8, 12], [0, 140, 299]),
  weightGradOf('one side in order, the other gathered', 'float32', 'float32', [null, 333, 300], [6, 5], [0, 140, 299]),
  weightGradOf('gradients of several experts', 'float32', 'float32', [20, null, 60], [20, 30], [0, 20, 20, 50, 60]),
];

describe.skipIf(!available)(`on ${reason}`, () => {
  let backend: WebGpuBackend;
  const cpu = createCpuBackend();
  beforeAll(async () => {
    backend = await createWebGpuBackend({ traits: { bindingBytes: 4096 } });
  });
  afterAll(() => backend.dispose());

  async function outputsOf(on: Backend, { run }: Example): Promise<number[][]> {
    const made: Operand[] = [];
    const make: Make = (dtype, shape, values = () => 777) => {
      const operand = { buffer: on.allocate(dtype, sizeOf(shape)), shape, dtype };
      made.push(operand);
      on.write(operand, Array.from({ length: sizeOf(shape) }, (_, i) => values(i)));
      return operand;
    };
    const outputs = run(on.kernels as Kernels, make);
    const values = await Promise.all(outputs.map(async (output) => Array.from(await on.read(output))));
    for (const { buffer } of made) on.free(buffer);
    return values;
  }

  for (const example of EXAMPLES) {
    it.skipIf(example.half && !float16)(example.name, async () => {
      const before = backend.statistics.dispatches;
      const found = await outputsOf(backend, example);
      expect(backend.statistics.dispatches - before, 'launches').toBeGreaterThan(1);
      const expected = await outputsOf(cpu, example);
      const [relative, absolute] = example.half ? [2e-3, 2e-3] : [1e-5, 1e-5];
      const wrong = expected.flatMap((values, output) => values.flatMap((value, i) => {
        const at = found[output]![i]!;
        return Math.abs(at - value) <= absolute + relative * Math.abs(value) ? [] : [`output ${output} [${i}]: ${at} for ${value}`];
      }));
      expect(wrong.slice(0, 5)).toEqual([]);
    });
  }
});
