// Executed rows are what is multiplied: kept claims where empty slots of the padded path are left out, all slots elsewhere.
import { afterAll, describe, expect, it } from 'vitest';
import { createEngine, initializeParameters, randomKey, type Backend, type Engine } from '@xmoe/core';
import { createCpuBackend, createWasmBackend } from '@xmoe/backend-cpu';
import { createTfjsBackendFor } from '@xmoe/backend-tfjs/node';
import { createMoeFeedForward, disposeTrace, moeFlops, summarizeTrace, type DispatchPath, type RoutingSummary } from '@xmoe/moe';

const [T, N, d, s] = [24, 6, 8, 5];
const engines: Engine[] = [];
afterAll(() => engines.forEach((engine) => engine.dispose()));

function withoutKernels(backend: Backend, ...names: (keyof Backend['kernels'])[]): Backend {
  return { ...backend, kernels: { ...backend.kernels, ...Object.fromEntries(names.map((name) => [name, undefined])) } };
}

async function summaryOn(engine: Engine, dispatch: DispatchPath, threshold: number): Promise<RoutingSummary> {
  const layer = createMoeFeedForward({ name: 'm', width: d, hidden: s, experts: N, initStd: 0.5, router: { type: 'threshold', threshold }, dispatch, capacityFactor: N });
  const parameters = initializeParameters(engine, layer.parameters, randomKey(1));
  const x = engine.tensor(Float32Array.from({ length: T * d }, (_, i) => Math.sin(i * 1.37) * 2), [T, d]);
  const { output, trace } = layer.apply(parameters, x, { training: false, key: null, computeDType: 'float32', tokenIds: null, mask: null, collect: 'statistics' });
  const summary = await summarizeTrace(trace!);
  disposeTrace(trace!);
  output.dispose();
  return summary;
}

describe.each<[string, () => Backend | Promise<Backend>, rows: boolean, gradients: boolean]>([
  ['cpu:plain', createCpuBackend, true, true],
  ['cpu:wasm', () => createWasmBackend({ threads: 1 }), true, true],
  ['a device that multiplies them for gradients of weights', () => ({ ...createCpuBackend(), capabilities: { ...createCpuBackend().capabilities, skipsEmptyRows: 'linear' } }), true, false],
  ['fallbacks for the gradients of weights', () => withoutKernels(createCpuBackend(), 'groupedLinearWeightGrad', 'expertsBackward'), true, false],
  ['fallbacks', () => withoutKernels(createCpuBackend(), 'groupedLinear', 'groupedLinearWeightGrad', 'expertsGrad', 'expertsForward', 'expertsBackward'), false, false],
  ['tfjs:wasm', () => createTfjsBackendFor('wasm'), false, false],
  ['tfjs:cpu', () => createTfjsBackendFor('cpu'), false, false],
])('on %s', (_, open, skipsRows, skipsGradients) => {
  it('a lower threshold executes less where empty rows are left out', async () => {
    const engine = createEngine(await open());
    engines.push(engine);
    for (const threshold of [1, 0.5, 0]) {
      const { kept, executedRows, executedGradientRows } = await summaryOn(engine, 'padded', threshold);
      expect(kept).toBe(threshold === 1 ? N * T : threshold === 0 ? T : kept);
      expect([executedRows, executedGradientRows]).toEqual([skipsRows ? kept : N * T, skipsGradients ? kept : N * T]);
      const options = { tokens: T, experts: N, width: d, hidden: s, dispatch: 'padded', capacityFactor: N, kept } as const;
      expect(moeFlops({ ...options, skipsEmptyRows: skipsRows }).executed).toBe(executedRows * 4 * d * s);
    }
    for (const dispatch of ['grouped', 'budget'] as const) {
      const { kept, executedRows, executedGradientRows } = await summaryOn(engine, dispatch, 0.5);
      expect([executedRows, executedGradientRows]).toEqual([kept, kept]);
    }
  });
});
