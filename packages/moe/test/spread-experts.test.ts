// Experts spread over ranks: what each rank gets is what it would compute alone, to the bit, and in float64 it is the triple loop's. The ranks are
// threads of this process; over MPI they are tested with the programs.
import { beforeAll, describe, expect, it } from 'vitest';
import { createCpuBackend } from '@xmoe/backend-cpu';
import { createEngine, type Tensor } from '@xmoe/core';
import { createMoeFeedForward, expertsOfRank, type DispatchPath } from '@xmoe/moe';
import type { RouterConfig } from '@xmoe/routers/by-name';
import { runThreads } from '@xmoe/testing/threads';
import { configOf, contextOn, expectedOf, leavesOn, N, runLayer, type LayerCase } from './layer-case.js';
import { engineOf, leavesOfRank, type SpreadResult, type SpreadTask } from './threads/spread-layer.js';

const ROUTERS: RouterConfig[] = [
  { type: 'threshold', threshold: 0.7 },
  { type: 'topk', k: 2, renormalize: true },
  { type: 'switch' },
  { type: 'expert-threshold', k: 2 },
  { type: 'hash', seed: 4 },
  { type: 'base' },
];
const PATHS: DispatchPath[] = ['padded', 'grouped', 'budget'];
const items: LayerCase[] = ROUTERS.flatMap((router) => PATHS.map((dispatch, index) => ({ router, dispatch, masked: index !== 1, activation: 'gelu-tanh' as const })));
const tasks: SpreadTask[] = (['float64', 'cpu', 'cpu:wasm'] as const).flatMap((backend) => (backend === 'cpu:wasm' ? items.slice(0, 6) : items).map((item) => ({ backend, item })));
const titled = tasks.map((task, index) => [`${task.backend} ${JSON.stringify(task.item.router)} ${task.item.dispatch}`, task, index] as const);

/** Of each team, what each rank has of each task. */
const found = new Map<number, SpreadResult[][]>();
const SIZES = [3];

beforeAll(async () => {
  for (const size of SIZES) found.set(size, await runThreads<SpreadTask, SpreadResult>(new URL('./threads/spread-layer.ts', import.meta.url), size, tasks));
}, 300_000);

/** The gradient of all experts by the tokens of rank `source`, from the ranks that hold them. */
const assembled = (ranks: readonly SpreadResult[], name: string, source: number): number[] => ranks.flatMap(({ expertGradients }) => Array.from(expertGradients[`${name} ${source}`]!));

describe.each(SIZES)('on %i ranks', (size) => {
  it.each(titled)('%s: each rank has the bits of a layer alone', async (_title, { backend, item }, task) => {
    const ranks = found.get(size)![task]!;
    for (const [rank, result] of ranks.entries()) {
      const engine = await engineOf(backend);
      const alone = runLayer(engine, item, leavesOfRank(engine, backend, rank), contextOn(engine, item.masked));
      const numbers = (tensor: Tensor): number[] => Array.from(tensor.dataSync());
      expect(Array.from(result.output)).toEqual(numbers(alone.output));
      expect([result.auxLoss, result.positive]).toEqual([alone.auxLoss?.dataSync()[0], alone.trace.positive!.dataSync()[0]]);
      for (const name of ['x', 'routerWeight'] as const) expect(Array.from(result.gradients[name]!), name).toEqual(numbers(alone.gradients[name]));
      for (const name of ['w1', 'b1', 'w2', 'b2'] as const) expect(assembled(ranks, name, rank), name).toEqual(numbers(alone.gradients[name]));
    }
  });

  it.each(titled.filter(([, { backend }]) => backend === 'float64'))('%s: the gradients are those of the triple loop', (_title, { item }, task) => {
    const { forward, gradients } = expectedOf(item);
    const ranks = found.get(size)![task]!;
    const close = (actual: ArrayLike<number>, expected: ArrayLike<number>): void => {
      for (let index = 0; index < expected.length; index++) expect(Math.abs(actual[index]! - expected[index]!)).toBeLessThan(1e-9 * (1 + Math.abs(expected[index]!)));
      expect(actual.length).toBe(expected.length);
    };
    close(ranks[0]!.output, forward.y);
    for (const name of ['x', 'routerWeight'] as const) close(ranks[0]!.gradients[name]!, gradients[name]);
    for (const name of ['w1', 'b1', 'w2', 'b2'] as const) close(assembled(ranks, name, 0), gradients[name]);
  });
});

describe('a spread layer', () => {
  const ranks = { rank: 1, size: 2, allToAllVNow: () => undefined };
  const item = items[0]!;

  it('has the parameters of its experts as parts of the whole, each expert once', () => {
    const parts = Array.from({ length: 4 }, (_, rank) => expertsOfRank(N, { rank, size: 4 }));
    expect(parts.flatMap(({ begin, count }) => Array.from({ length: count }, (_, index) => begin + index))).toEqual([0, 1, 2, 3, 4]);
    const { parameters } = createMoeFeedForward({ ...configOf(item), ranks });
    expect(parameters.filter(({ part }) => part).map(({ name, shape, part }) => [name.split('.').at(-1), shape[0], part])).toEqual(
      ['w1', 'b1', 'w2', 'b2'].map((name) => [name, 3, { begin: 2, of: 5 }]),
    );
  });

  it('refuses a device that is not read within a step, by its name', () => {
    const engine = createEngine({ ...createCpuBackend(), readSync: undefined });
    const leaves = leavesOn(engine);
    expect(() => runLayer(engine, { ...item, dispatch: 'padded' }, leaves, contextOn(engine, false), { ...ranks, size: 1, rank: 0 })).not.toThrow();
    const part = { ...leaves, w1: engine.zeros([3, 4, 6]), b1: engine.zeros([3, 6]), w2: engine.zeros([3, 6, 4]), b2: engine.zeros([3, 4]) };
    expect(() => runLayer(engine, { ...item, dispatch: 'padded' }, part, contextOn(engine, false), ranks)).toThrow(/on cpu experts are not spread over ranks/);
  });
});
