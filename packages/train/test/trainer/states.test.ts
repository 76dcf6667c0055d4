// What is not trained: the state of a router moves once per update by the sums over its micro-batches, is in checkpoints, and stays as it
// is where the weights do.
import { describe, expect, it } from 'vitest';
import { nextControlledThreshold, type PlainState } from '@xmoe/routers/reference';
import type { RouterConfig } from '@xmoe/routers/by-name';
import { runDirectory } from './run-directory.js';
import { batchAt, runTiny, tinyTrainer, type TinyTrainer } from './tiny-run.js';

const router: RouterConfig = { type: 'controlled-threshold', target: 2, proportional: 0.2, integral: 0.1 };

async function stateOf({ parameters }: TinyTrainer, prefix = 'h.1.moe.router.state.'): Promise<PlainState> {
  const own = Object.entries(parameters).filter(([name]) => name.startsWith(prefix));
  return Object.fromEntries(await Promise.all(own.map(async ([name, tensor]) => [name.slice(prefix.length), [...(await tensor.data())]] as const)));
}

async function inTurn<T, R>(items: readonly T[], run: (item: T) => Promise<R>): Promise<R[]> {
  const out: R[] = [];
  for (const item of items) out.push(await run(item));
  return out;
}

function expectNear(actual: PlainState, expected: PlainState): void {
  expect(Object.keys(actual)).toEqual(Object.keys(expected));
  for (const [name, numbers] of Object.entries(expected)) numbers.forEach((number, at) => expect(actual[name]![at], name).toBeCloseTo(number, 6));
}

describe('the state of a router', () => {
  it('moves once per update, by the sums over its micro-batches', async () => {
    const tiny = tinyTrainer({ router });
    let expected: PlainState = { threshold: [0.3], error: [0], updates: [0] };
    expectNear(await stateOf(tiny), expected);
    for (let step = 0; step < 4; step++) {
      const { routing } = await tiny.trainer.step([batchAt(3 * step), batchAt(3 * step + 1), batchAt(3 * step + 2)], { collectRouting: true });
      const { tokens, expertsPerToken } = routing![0]!.summary;
      expect(tokens).toBe(36);
      expected = nextControlledThreshold(router as never, expected, { claims: [expertsPerToken * tokens!], tokens: [tokens!] });
      expectNear(await stateOf(tiny), expected);
    }
    expect(expected.threshold![0]).not.toBe(0.3);
  });

  it('that layers share is one, which moves by the sums over all of them', async () => {
    const tiny = tinyTrainer({ router: { ...router, shared: true }, firstExperts: 1 });
    const { routing } = await tiny.trainer.step([batchAt(0), batchAt(1)], { collectRouting: true });
    expect(Object.keys(tiny.parameters).filter((name) => name.includes('.state.'))).toEqual(['router.state.threshold', 'router.state.error', 'router.state.updates']);
    const claims = routing!.map(({ summary: { tokens, expertsPerToken } }) => tokens! * expertsPerToken);
    expect(claims).toHaveLength(2);
    const sums = { claims: [claims[0]! + claims[1]!], tokens: [48] };
    expectNear(await stateOf(tiny, 'router.state.'), nextControlledThreshold(router as never, { threshold: [0.3], error: [0], updates: [0] }, sums));
  });

  it('stays as it is in an update without a finite gradient', async () => {
    const tiny = tinyTrainer({ router, lossFactor: (step) => (step === 2 ? Number.NaN : 1) });
    await tiny.trainer.step([batchAt(0)], { collectRouting: false });
    const before = await stateOf(tiny);
    expect((await tiny.trainer.step([batchAt(1)], { collectRouting: false })).skipped).toBe(true);
    expect(await stateOf(tiny)).toEqual(before);
    expect((await tiny.trainer.step([batchAt(2)], { collectRouting: false })).skipped).toBe(false);
    expect((await stateOf(tiny)).updates).toEqual([2]);
  });

  it('is in checkpoints among the parameters, without moments: a resumed run equals one in one go, to the bit', async () => {
    const tiny = { router, dispatch: 'grouped' } as const;
    const { weights } = await runTiny({ directory: runDirectory(), tiny });
    const names = Object.keys(weights).filter((name) => name.includes('.state.'));
    expect(names).toEqual(['threshold', 'error', 'updates'].map((name) => `h.1.moe.router.state.${name}`));
    expect(weights['h.1.moe.router.state.updates']).toEqual([12]);
    const directory = runDirectory();
    await runTiny({ directory, tiny, stopAfter: 7 });
    expect((await runTiny({ directory, tiny, resume: true })).weights).toEqual(weights);
  });

  it('that a checkpoint lacks is named', async () => {
    const [plain, stateful] = [tinyTrainer(), tinyTrainer({ router })];
    const { parameters, optimizer } = await plain.trainer.tensors();
    await expect(stateful.trainer.restore(plain.trainer.state, { parameters, optimizer }, 'step-1')).rejects.toThrow(/missing: h\.1\.moe\.router\.state\.threshold/);
  });

  it('of before it held all that it does now goes on, with the rest as it begins', async () => {
    const tiny = tinyTrainer({ router: { type: 'null-experts', k: 3, target: 2 } });
    await tiny.trainer.step([batchAt(0)], { collectRouting: false });
    const { parameters, optimizer } = await tiny.trainer.tensors();
    const trend = 'h.1.moe.router.state.trend';
    const older = parameters.filter(({ name }) => name !== trend);
    expect(older).toHaveLength(parameters.length - 1);
    const other = tinyTrainer({ router: { type: 'null-experts', k: 3, target: 2 } });
    await other.trainer.restore(tiny.trainer.state, { parameters: older, optimizer }, 'step-1');
    expect(await stateOf(other)).toEqual({ ...(await stateOf(tiny)), trend: [0] });
    expect((await stateOf(other)).updates).toEqual([1]);
  });
});

describe('a balance loss over the update before', () => {
  const options = { balanceOver: 'update', dropout: 0 } as const;
  const auxOf = async (tiny: TinyTrainer, batches: number[]): Promise<number> => (await tiny.trainer.step(batches.map((index) => batchAt(index)), { collectRouting: false })).auxLoss;

  it('counts first choices over all micro-batches, and is that of the batch where there were none before', async () => {
    const tiny = tinyTrainer(options);
    expect(await auxOf(tiny, [0, 1])).toBeCloseTo(await auxOf(tinyTrainer({ ...options, balanceOver: 'batch' }), [0, 1]), 7);
    const counts = await stateOf(tiny, 'h.1.moe.router.state.balance.');
    expect(counts.firstChoices!.reduce((sum, count) => sum + count, 0)).toBe(24);
  });

  it('takes its shares from there: from one expert alone, N · P of that expert', async () => {
    const tiny = tinyTrainer(options);
    const mean = await inTurn([0, 1, 2, 3], async (expert) => {
      tiny.parameters['h.1.moe.router.state.balance.firstChoices']!.write([0, 1, 2, 3].map((other) => (other === expert ? 7 : 0)));
      const before = await tiny.trainer.tensors();
      const aux = await auxOf(tiny, [5]);
      await tiny.trainer.restore({ ...tiny.trainer.state, step: 0 }, before, 'the test');
      return aux / (0.01 * 4);
    });
    expect(mean.reduce((sum, p) => sum + p, 0)).toBeCloseTo(1, 5); // P over all experts
    expect(Math.max(...mean) - Math.min(...mean)).toBeGreaterThan(1e-3);
  });
});
