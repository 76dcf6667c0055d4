// A layer whose budget is of each sequence: what one takes does not depend on the others, and the context says where they begin.
import { describe, expect, it } from 'vitest';
import { createCpuBackend } from '@xmoe/backend-cpu';
import { createEngine, hostNormal, initializeParameters, randomKey, type ForwardContext } from '@xmoe/core';
import { createMoeFeedForward, type MoeFeedForwardConfig } from '@xmoe/moe';

const engine = createEngine(createCpuBackend());
const [sequences, length, width] = [2, 6, 4];
const first = hostNormal(randomKey(1), length * width);
const others = [0, 9].map((scale) => hostNormal(randomKey(2), length * width).map((value) => scale * value)); // unsure, and sure

async function outputs(pool: MoeFeedForwardConfig['pool'], context: Partial<ForwardContext>): Promise<number[][]> {
  const layer = createMoeFeedForward({ name: 'moe', width, hidden: 3, experts: 4, router: { type: 'threshold', threshold: 1 }, dispatch: 'budget', capacityFactor: 1.5, priority: 'probability', ...(pool ? { pool } : {}), initStd: 0.8 });
  const parameters = initializeParameters(engine, layer.parameters, randomKey(4));
  return Promise.all(others.map(async (other) => {
    const x = engine.tensor([...first, ...other], [sequences * length, width]);
    const { output } = layer.apply(parameters, x, { training: true, key: null, computeDType: 'float32', tokenIds: null, mask: null, collect: 'nothing', ...context });
    return Array.from(await output.data()).slice(0, length * width);
  }));
}

describe('the first of two sequences', () => {
  it('comes out the same beside any other with a pool for each', async () => {
    const [a, b] = await outputs('sequence', { sequenceLength: length });
    expect(a).toEqual(b);
    expect(a!.some((value) => value !== 0)).toBe(true);
  });

  it('shares the budget with the others by default, and where nobody says where sequences begin', async () => {
    for (const [a, b] of [await outputs(undefined, { sequenceLength: length }), await outputs('sequence', {})]) expect(a).not.toEqual(b);
  });
});
