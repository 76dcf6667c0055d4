// Registers the conformance tests of one backend with a test framework: every primitive, native and as fallback, against
// backend-cpu. Framework-light: pass vitest's describe, it and expect.
import { sizeOf, DTYPES, type Backend, type DType, type FusedKernels, type KernelName, type Kernels } from '@xmoe/core';
import { createFallbacks } from '@xmoe/core/backend';
import { createCpuBackend } from '@xmoe/backend-cpu';
import { largestOperand, type ConformanceCase } from './case.js';
import { CONFORMANCE_CASES, isFused } from './cases/index.js';
import { expectationOf, problemsOf } from './check.js';

/** The part of vitest that the suite uses. */
export interface TestFramework {
  describe(name: string, body: () => void): unknown;
  it(name: string, body: () => void | Promise<void>): unknown;
  expect(actual: unknown, message?: string): { toEqual(expected: unknown): void };
}

export interface ConformanceOptions {
  /** Cases with any operand of another dtype are left out. Default: all five. */
  dtypes?: readonly DType[];
  /** A reason to leave the case out. Leaving out all cases of a primitive fails. */
  skip?: (item: ConformanceCase) => string | undefined;
  /** Leaves out cases with a larger operand. */
  maxElements?: number;
  /** Only these. Default: all. */
  primitives?: readonly KernelName[];
  /**
   * `native`: fused primitives only as the backend's own kernels (one that is missing fails), not as fallbacks on top of its
   * required ones. Default `both`.
   */
  variants?: 'native' | 'both';
}

/** All cases, in the order of the contract. */
export function conformanceCases(): ConformanceCase[] {
  return Object.values(CONFORMANCE_CASES).flat();
}

/** Registers one test per case. The backend is made at the first test and disposed after the last. */
export function runConformance(
  { describe, it, expect }: TestFramework,
  name: string,
  createBackend: () => Backend | Promise<Backend>,
  options: ConformanceOptions = {},
): void {
  const reference = createCpuBackend();
  let created: Promise<Backend> | undefined;
  const backendOnce = (): Promise<Backend> => (created ??= Promise.resolve(createBackend()));

  describe(`conformance of ${name}`, () => {
    it('stores every dtype', async () => expect(await storageProblems(await backendOnce(), options)).toEqual([]));
    for (const [primitive, cases] of Object.entries(CONFORMANCE_CASES)) {
      if (options.primitives?.includes(primitive as KernelName) === false) continue;
      describe(primitive, () => {
        const kept = cases.filter((item) => reasonToSkip(item, options) === undefined);
        if (kept.length === 0) {
          const reasons = [...new Set(cases.map((item) => reasonToSkip(item, options)))];
          it('has a case that runs', () => expect(reasons, 'every case is left out').toEqual([]));
        }
        for (const item of kept) {
          it(`${item.label} ${item.dtype}`, async () => {
            expect(await caseProblems(item, await backendOnce(), reference, options)).toEqual([]);
          });
        }
      });
    }
    it('is disposed', async () => (await backendOnce()).dispose());
  });
}

function reasonToSkip(item: ConformanceCase, { dtypes = DTYPES, skip, maxElements = Infinity }: ConformanceOptions): string | undefined {
  const unknown = Object.values(item.operands).find((spec) => !dtypes.includes(spec.dtype));
  if (unknown !== undefined) return `no ${unknown.dtype}`;
  if (largestOperand(item) > maxElements) return `more than ${maxElements} elements`;
  return skip?.(item);
}

async function caseProblems(
  item: ConformanceCase, backend: Backend, reference: Backend, { variants: wanted = 'both' }: ConformanceOptions,
): Promise<string[]> {
  const expected = await expectationOf(item, reference);
  const problems: string[] = [];
  const variants: [string, Partial<Kernels>][] = [];
  const required = wanted === 'native' || !isFused(item.primitive);
  if (required || backend.kernels[item.primitive] !== undefined) variants.push(['native', backend.kernels]);
  if (wanted === 'both' && isFused(item.primitive)) variants.push(['fallback', fallbacksOf(backend)]);
  for (const [variant, kernels] of variants) {
    const found = await problemsOf(item, backend, kernels, expected);
    problems.push(...found.map((line) => `${variant}: ${line}`));
  }
  return problems;
}

const fallbackCache = new WeakMap<Backend, FusedKernels>();

function fallbacksOf(backend: Backend): FusedKernels {
  const fallbacks = fallbackCache.get(backend) ?? createFallbacks(backend);
  fallbackCache.set(backend, fallbacks);
  return fallbacks;
}

/** Writes, reads back and frees a buffer of each dtype, seen in two shapes. */
async function storageProblems(backend: Backend, { dtypes = DTYPES }: ConformanceOptions): Promise<string[]> {
  const samples: Record<DType, number[]> = {
    float32: [0, -1.5, 3.4e38, 1e-30, -Infinity, 2 ** -20],
    float16: [0, -1.5, 65504, 2 ** -24, -Infinity, 0.5],
    int32: [0, -1, 2147483647, -2147483648, 16777217, 7],
    uint32: [0, 1, 4294967295, 2147483648, 16777217, 7],
    bool: [0, 1, 1, NaN, 2, 0],
  };
  const problems: string[] = [];
  for (const dtype of dtypes) {
    for (const shape of [[6], [2, 3], [1, 6, 1]]) {
      const operand = { buffer: backend.allocate(dtype, 6), shape, dtype };
      backend.write(operand, samples[dtype]);
      const alias = { ...operand, shape: [3, 2] };
      const wanted = dtype === 'float32' ? Array.from(new Float32Array(samples[dtype])) : dtype === 'bool' ? samples[dtype].map((value) => Number(value !== 0)) : samples[dtype];
      const found = Array.from(await backend.read(alias));
      if (found.join() !== wanted.join()) problems.push(`${dtype} [${shape.join()}]: wrote ${wanted.join()}, read ${found.join()}`);
      if (backend.memory().bytes < sizeOf(shape)) problems.push(`memory().bytes is ${backend.memory().bytes} with a live ${dtype}`);
      backend.free(operand.buffer);
    }
  }
  return problems;
}
