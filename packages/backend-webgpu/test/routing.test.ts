// What the conformance cases of ordering and routing leave open: random plans with many ties, NaN, and how many launches each
// primitive of the router takes. Everything here is exact.
import { createCpuBackend } from '@xmoe/backend-cpu';
import { hostUniform, randomKey, sizeOf, type Backend, type DispatchPath, type DType, type Kernels, type Operand } from '@xmoe/core';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { createWebGpuBackend, type WebGpuBackend } from '../src/index.js';
import { webGpuAdapter } from './adapter.js';

const { available, reason } = await webGpuAdapter();
const cpu = createCpuBackend();

interface Given {
  readonly shape: readonly number[];
  readonly dtype: DType;
  /** None: an output. */
  readonly values?: ArrayLike<number>;
}

const input = (shape: readonly number[], dtype: DType, values: ArrayLike<number>): Given => ({ shape, dtype, values });
const output = (shape: readonly number[], dtype: DType = 'int32'): Given => ({ shape, dtype });

/** What `run` leaves in the outputs. */
async function outputsOf(backend: Backend, given: Record<string, Given>, run: (kernels: Kernels, operands: Record<string, Operand>) => void): Promise<Record<string, number[]>> {
  const operands = Object.fromEntries(Object.entries(given).map(([name, { shape, dtype, values }]): [string, Operand] => {
    const operand = { buffer: backend.allocate(dtype, sizeOf(shape)), shape, dtype };
    backend.write(operand, values ?? new Float32Array(sizeOf(shape)).fill(77));
    return [name, operand];
  }));
  run(backend.kernels as Kernels, operands);
  const outputs = Object.keys(given).filter((name) => given[name]!.values === undefined);
  const found = await Promise.all(outputs.map(async (name): Promise<[string, number[]]> => [name, Array.from(await backend.read(operands[name]!))]));
  for (const { buffer } of Object.values(operands)) backend.free(buffer);
  return Object.fromEntries(found);
}

interface PlanCase {
  readonly T: number;
  readonly K: number;
  readonly N: number;
  readonly dispatch: DispatchPath;
  readonly rankOnly: boolean;
  /** Rows as a share of the claims. */
  readonly share: number;
  /** So many different scores. */
  readonly scores: number;
  /** The chance of a claim to be used. */
  readonly used: number;
  /** Claims go to so many of the experts. */
  readonly popular: number;
  readonly seed: number;
}

function planOperands({ T, K, N, dispatch, share, scores, used, popular, seed }: PlanCase): Record<string, Given> {
  const claims = T * K;
  const [uses, picks, marks] = [0, 1, 2].map((stream) => hostUniform(randomKey(seed), claims, stream));
  const ids = Array.from(picks!, (pick, claim) => (uses![claim]! < used ? Math.floor(pick * Math.min(N, popular)) : -1));
  const wanted = Math.ceil(share * claims);
  const rows = dispatch === 'grouped' ? claims : dispatch === 'padded' ? N * Math.ceil(wanted / N) : wanted;
  return {
    ids: input([T, K], 'int32', ids),
    scores: input([T, K], 'float32', marks!.map((mark) => Math.floor(mark * scores) / scores)),
    rowClaim: output([rows]), rowToken: output([rows]), claimRow: output([T, K]), offsets: output([N + 1]), wanted: output([N]), load: output([N]),
  };
}

const plan = ({ dispatch, rankOnly }: PlanCase) => (kernels: Kernels, o: Record<string, Operand>): void =>
  kernels.dispatchClaims(
    { expertIds: o.ids!, scores: o.scores! },
    { rowClaim: o.rowClaim!, rowToken: o.rowToken!, claimRow: o.claimRow!, offsets: o.offsets!, wanted: o.wanted!, load: o.load! },
    { dispatch, rankOnly },
  );

describe.skipIf(!available)(`on ${reason}`, async () => {
  const backend: WebGpuBackend = available ? await createWebGpuBackend() : (undefined as never);
  afterAll(() => backend?.dispose());

  it('plans as the reference does, whatever ties', async () => {
    const cases = fc.record({
      T: fc.integer({ min: 1, max: 3000 }), K: fc.integer({ min: 1, max: 9 }), N: fc.integer({ min: 1, max: 40 }),
      dispatch: fc.constantFrom<DispatchPath>('padded', 'grouped', 'budget'), rankOnly: fc.boolean(), share: fc.double({ min: 0, max: 1, noNaN: true }),
      scores: fc.constantFrom(1, 2, 100, 1e6), used: fc.constantFrom(0.05, 0.5, 1), popular: fc.constantFrom(1, 2, 100), seed: fc.integer({ min: 1, max: 1e6 }),
    });
    await fc.assert(fc.asyncProperty(cases, async (item) => {
      const operands = planOperands(item);
      expect(await outputsOf(backend, operands, plan(item))).toEqual(await outputsOf(cpu, operands, plan(item)));
    }), { numRuns: 25 });
  });

  it.each<DispatchPath>(['padded', 'grouped', 'budget'])('%s: 100,000 claims that all want the same keep the lowest tokens, twice', async (dispatch) => {
    const item: PlanCase = { T: 12500, K: 8, N: 8, dispatch, rankOnly: false, share: 0.37, scores: 1, used: 1, popular: 1, seed: 1 };
    const operands = planOperands(item);
    const first = await outputsOf(backend, operands, plan(item));
    expect(first).toEqual(await outputsOf(cpu, operands, plan(item)));
    expect(await outputsOf(backend, operands, plan(item))).toEqual(first);
  });

  it('NaN comes last and hides nothing', async () => {
    const values = [3, NaN, -1, Infinity, NaN, -0, 0, -Infinity, 2];
    const sort = { keys: input([9], 'float32', values), permutation: output([9]) };
    const sorted = await outputsOf(backend, sort, (kernels, o) => kernels.sortByKey({ keys: o.keys! }, { permutation: o.permutation! }));
    expect(sorted.permutation).toEqual([7, 2, 5, 6, 8, 0, 3, 1, 4]);
    const wide = Array.from({ length: 600 }, (_, index) => (index % 3 === 0 ? NaN : index % 7));
    for (const [row, k] of [[values, 9], [values, 3], [wide, 20]] as const) {
      const top = { x: input([1, row.length], 'float32', row), values: output([1, k], 'float32'), indices: output([1, k]) };
      const best = (kernels: Kernels, o: Record<string, Operand>): void => kernels.topK({ x: o.x! }, { values: o.values!, indices: o.indices! });
      expect(await outputsOf(backend, top, best)).toEqual(await outputsOf(cpu, top, best));
    }
  });

  it('takes few launches', async () => {
    const launches = async (given: Record<string, Given>, run: (kernels: Kernels, o: Record<string, Operand>) => void): Promise<number> => {
      const before = backend.statistics.dispatches;
      await outputsOf(backend, given, run);
      return backend.statistics.dispatches - before;
    };
    for (const dispatch of ['padded', 'grouped', 'budget'] as const) {
      const item: PlanCase = { T: 700, K: 64, N: 64, dispatch, rankOnly: false, share: 0.1, scores: 100, used: 0.1, popular: 64, seed: 3 };
      expect(await launches(planOperands(item), plan(item)), dispatch).toBe(3);
    }
    const p = new Float32Array(9 * 256).fill(1 / 256);
    const select = { p: input([9, 256], 'float32', p), values: output([9, 256], 'float32'), indices: output([9, 256]), counts: output([9]) };
    expect(await launches(select, (kernels, o) => kernels.thresholdSelect(
      { p: o.p!, mask: null, threshold: null },
      { values: o.values!, indices: o.indices!, counts: o.counts! }, { threshold: 0.9 },
    ))).toBe(1);
    const best = { x: input([2, 700], 'float32', new Float32Array(1400)), values: output([2, 64], 'float32'), indices: output([2, 64]) };
    expect(await launches(best, (kernels, o) => kernels.topK({ x: o.x! }, { values: o.values!, indices: o.indices! }))).toBe(1);
    const sort = { keys: input([5000], 'int32', new Int32Array(5000)), permutation: output([5000]) };
    expect(await launches(sort, (kernels, o) => kernels.sortByKey({ keys: o.keys! }, { permutation: o.permutation! }))).toBe(5);
  });
});
