// How many kernels one layer runs: tiny ones cost a launch each, so a path may not grow unnoticed. Counts, not times.
import { describe, expect, it } from 'vitest';
import { add, createEngine, initializeParameters, randomKey, sum, valueAndGrad, type RequiredKernels } from '@xmoe/core';
import { createCpuBackend } from '@xmoe/backend-cpu';
import { createMoeFeedForward, type DispatchPath } from '@xmoe/moe';
import type { RouterConfig } from '@xmoe/routers/by-name';
import { contextOn } from './layer-case.js';

const [T, N, d, s] = [64, 16, 8, 4];

/** Kernel calls of the layer's forward and of the whole backward pass, once it is warm. */
function callsOf(router: RouterConfig, dispatch: DispatchPath): { forward: number; backward: number } {
  const backend = createCpuBackend();
  let calls = 0;
  const counted = Object.fromEntries(
    Object.entries(backend.kernels).map(([name, kernel]) => [name, (...operands: never[]) => (calls++, (kernel as (...rest: never[]) => void)(...operands))]),
  ) as unknown as RequiredKernels;
  const engine = createEngine({ ...backend, kernels: counted });
  const layer = createMoeFeedForward({ name: 'm', width: d, hidden: s, experts: N, router, dispatch, capacityFactor: 2, initStd: 0.3, vocabularySize: 9 });
  const parameters = initializeParameters(engine, layer.parameters, randomKey(1));
  const x = engine.tensor(Float32Array.from({ length: T * d }, (_, index) => Math.sin(index * 1.7)), [T, d]);
  const tokenIds = engine.tensor(Array.from({ length: T }, (_, token) => token % 9), [T], 'int32');
  const context = { ...contextOn(engine, false, { collect: 'nothing' }), tokenIds };
  const step = (): { forward: number; backward: number } => {
    calls = 0;
    let forward = 0;
    let loss = 0;
    valueAndGrad(
      engine,
      (inputs: { parameters: typeof parameters; x: typeof x }) => {
        const result = layer.apply(inputs.parameters, inputs.x, context);
        forward = calls;
        const total = result.auxLoss ? add(sum(result.output), result.auxLoss) : sum(result.output);
        loss = calls;
        return total;
      },
      { parameters, x },
    );
    return { forward, backward: calls - loss };
  };
  step();
  const counts = step();
  engine.dispose();
  return counts;
}

describe('kernel calls', () => {
  // [router, path, forward at most, backward at most]
  it.each([
    [{ type: 'threshold', threshold: 0.9 }, 'padded', 17, 16],
    [{ type: 'threshold', threshold: 0.9 }, 'grouped', 15, 16],
    [{ type: 'threshold', threshold: 0.9 }, 'budget', 14, 16],
    [{ type: 'topk', k: 2 }, 'padded', 18, 16],
    [{ type: 'topk', k: 2 }, 'grouped', 15, 16],
    [{ type: 'switch' }, 'padded', 17, 16],
    [{ type: 'switch' }, 'grouped', 14, 16],
    [{ type: 'hash' }, 'padded', 12, 7],
  ] as [RouterConfig, DispatchPath, number, number][])('%o, %s', (router, dispatch, forward, backward) => {
    const calls = callsOf(router, dispatch);
    expect(calls.forward).toBeLessThanOrEqual(forward);
    expect(calls.backward).toBeLessThanOrEqual(backward);
    expect(calls.forward).toBeGreaterThan(10);
  });
});
