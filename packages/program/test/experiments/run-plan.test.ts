// Plans: which runs are distinct and in which order, what is made again and what not, what ends a plan, and what a report says of what is missing.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '@xmoe/testing/programs';
import { afterAll, describe, expect, it } from 'vitest';
import { collectResults } from '../../src/experiments/collect-results.js';
import { canonical, planRuns, runKey } from '../../src/experiments/plan-runs.js';
import { createPlanRunner, isDone } from '../../src/experiments/run-plan.js';
import { arm, finishToys, reproduceToys, standIn, toyExperiments } from './toy-suite.js';

const path = temporaryFolder(afterAll);

describe('planRuns', () => {
  it('shares runs, gathers their points, and goes breadth first', () => {
    const plan = planRuns(toyExperiments(), [1, 2]);
    expect(plan.map(({ key }) => key.replace(/-[0-9a-f]{10}$/, ''))).toEqual(['a-seed1', 'b-seed1', 'a-seed2', 'b-seed2', 'c-seed1', 'c-seed2']);
    const shared = plan.find(({ key }) => key.startsWith('b-seed1'))!;
    expect(shared).toMatchObject({ wantedBy: ['one', 'two'], points: [{}, { t: 1 }], config: { train: { steps: 10, seed: 1 } } });
  });

  it('knows configurations by their content', () => {
    expect(runKey({ name: 'x', config: { train: { a: 1, b: 2 }, moe: null } }, 3)).toBe(runKey({ name: 'x', config: { moe: null, train: { b: 2, a: 1 }, description: 'other words' } }, 3));
    expect(runKey(arm('x', 1), 3)).not.toBe(runKey(arm('x', 2), 3));
    expect(canonical([{ b: [1, null], a: 'x' }])).toBe('[{"a":"x","b":[1,null]}]');
  });
});

describe('createPlanRunner', () => {
  const plan = planRuns(toyExperiments(), [1]);
  const runner = (folder: string, told: string[], ends?: (args: readonly string[]) => number, jobs = 1) => createPlanRunner({
    folder, jobs, threads: 1, trainFlags: ['--backend', 'cpu'], sweepFlags: [], stop: { requested: false }, start: standIn(told, ends), onRun: () => undefined,
  });

  it('makes each run once; a second call has nothing to do, and a new point is evaluated alone', async () => {
    const folder = path('whole');
    const told: string[] = [];
    await runner(folder, told, undefined, 2).run(plan);
    expect(told.filter((line) => line.startsWith('train'))).toHaveLength(3);
    expect(told.filter((line) => line.startsWith('sweep'))).toHaveLength(3);
    expect(plan.every((run) => isDone(folder, run))).toBe(true);
    const again: string[] = [];
    await runner(folder, again).run(plan.map((run, at) => (at === 0 ? { ...run, points: [...run.points, { t: 7 }] } : run)));
    expect(again).toHaveLength(1);
    expect(readFileSync(join(folder, 'presets', `${plan[0]!.key}.points.json`), 'utf8')).toBe('[{"t":7}]\n');
  });

  it('goes on with a run that was begun, waits for one that another process has, and remembers one without a result', async () => {
    const folder = path('odd');
    const [begun, busy, diverged] = plan.map(({ key }) => join(folder, 'runs', key)) as [string, string, string];
    mkdirSync(begun, { recursive: true });
    writeFileSync(join(begun, 'config.json'), '{}');
    const told: string[] = [];
    let asked = 0;
    await runner(folder, told, (args) => (args[0] === 'train' && args.includes(busy) && asked++ === 0 ? 75 : args[0] === 'train' && args.includes(diverged) ? 70 : 0)).run(plan);
    expect(told[0]).toBe(`train --resume --out ${begun} --backend cpu`);
    expect(told.filter((line) => line.includes(busy) && line.startsWith('train'))).toHaveLength(2);
    expect(readFileSync(join(diverged, 'failed.json'), 'utf8')).toContain('it ended badly');
    expect(isDone(folder, plan[2]!)).toBe(true);
    const again: string[] = [];
    await runner(folder, again).run(plan);
    expect(again).toEqual([]);
  });

  it('begins runs with the weights of others: those are made first, and where one has no result, neither has what begins with it', async () => {
    const [source, next] = [arm('a', 1), { ...arm('b', 2), from: arm('a', 1) }];
    const experiment = (of: typeof source) => ({ ...toyExperiments()[0]!, groups: [{ title: 'g', rows: [{ label: 'x', arm: of, point: { t: 1 } }] }], claims: [] });
    const chain = planRuns([experiment(next)], [1]);
    expect(chain.map(({ key, from, points }) => [key, from, points])).toEqual([[runKey(source, 1), undefined, []], [runKey(next, 1), runKey(source, 1), [{ t: 1 }]]]);
    expect(runKey(next, 1)).not.toBe(runKey(arm('b', 2), 1));
    const [folder, told] = [path('chain'), [] as string[]];
    await runner(folder, told).run(chain);
    expect(told.filter((line) => line.startsWith('train'))[1]).toContain(`--init-from ${join(folder, 'runs', chain[0]!.key)} --out ${join(folder, 'runs', chain[1]!.key)}`);
    const failed = path('broken-chain');
    await runner(failed, [], (args) => (args.join(' ').includes('/a-seed1') ? 70 : 0)).run(chain);
    expect(readFileSync(join(failed, 'runs', chain[1]!.key, 'failed.json'), 'utf8')).toContain(`${chain[0]!.key}, whose weights it begins with, has no result`);
  });

  it('ends at what is wrong with the machine, and keeps what is finished', async () => {
    const folder = path('full');
    const told: string[] = [];
    await expect(runner(folder, told, (args) => (args.join(' ').includes('/b-seed1') ? 74 : 0)).run(plan)).rejects.toMatchObject({ code: 'io', message: expect.stringMatching(/the run b-seed1-\w+ ended with code 74: it ended badly/) });
    expect(isDone(folder, plan[0]!)).toBe(true);
    expect(told.some((line) => line.includes('/c-seed1'))).toBe(false);
  });
});

describe('reproduceCommand', () => {
  const call = (names: string[], options: object) => reproduceToys(names, { dataRoot: path('data'), ...options });

  it('prints the plan and writes nothing with --dry-run', async () => {
    const text = await call(['all'], { out: path('dry'), dryRun: true });
    expect(text).toContain('Table 2 (9 runs, 6 of them shared)');
    expect(text).toContain('9 distinct, 0 finished');
    expect(existsSync(path('dry'))).toBe(false);
  });

  it('reports what is there, and says what is not', async () => {
    const folder = path('partial');
    await finishToys(folder, planRuns(toyExperiments().slice(0, 1), [1, 2]));
    const text = await call(['all'], { out: folder, reportOnly: true });
    expect(text).toContain('This report is not whole: 7 of 9 runs are missing (one 2 of 6, two 7 of 9)');
    expect(text).toContain('Not decided, 3 seeds at least are needed: B against A: −1.000 ± 0.000 nats, 2 seeds of 3.');
    const json = JSON.parse(readFileSync(join(folder, 'report.json'), 'utf8'));
    expect(json.experiments[1].groups[0].rows.map((row: { seeds: number }) => row.seeds)).toEqual([0, 0]); // B was not evaluated at t = 1
    expect(json.experiments[0].groups[0].rows[1]).toMatchObject({ label: 'B', seeds: 2, quality: { mean: expect.closeTo(2.15) }, difference: { mean: -1 } });
    const html = readFileSync(join(folder, 'report.html'), 'utf8');
    expect(html).toContain('Table &lt;1&gt;');
    expect(html).toContain('This report is not whole');
    expect(html).toContain('not run');
  });

  it('reports on no folder that is not there', async () => {
    await expect(call(['all'], { out: path('nowhere'), reportOnly: true })).rejects.toThrow(/there is no folder .*nowhere to report on/);
    expect(existsSync(path('nowhere'))).toBe(false);
  });

  it.each([
    ['a run', 'metrics.jsonl', '', /holds something else than experiments/],
    ['experiments of another scale', 'plan.json', '{"program":"toy","scale":"large","data":null}', /holds experiments of toy at scale large/],
  ])('refuses a folder that is %s', async (_, name, content, message) => {
    const folder = path(name);
    mkdirSync(folder);
    writeFileSync(join(folder, name), content);
    await expect(call(['one'], { out: folder })).rejects.toMatchObject({ code: 'config', message: expect.stringMatching(message) });
  });

  it('refuses names that there are not, with the nearest, and a file for a folder', async () => {
    await expect(call(['oen'], {})).rejects.toMatchObject({ code: 'config', hint: 'did you mean "one"?' });
    await expect(call(['one'], { scale: 'larg' })).rejects.toMatchObject({ hint: 'did you mean "large"?' });
    writeFileSync(path('file'), '');
    await expect(call(['one'], { out: path('file') })).rejects.toMatchObject({ message: expect.stringContaining('is not a directory') });
  });
});

it('trains and evaluates nothing more where training scores', async () => {
  const folder = path('scored');
  const told: string[] = [];
  const plan = planRuns(toyExperiments(), [1], { scoredByTraining: true });
  await createPlanRunner({ folder, jobs: 1, threads: 1, trainFlags: [], sweepFlags: [], stop: { requested: false }, start: standIn(told), onRun: () => undefined }).run(plan);
  expect(told.map((line) => line.split(' ')[0])).toEqual(['train', 'train', 'train']);
  const results = collectResults(folder, [1], { trainingFigures: () => ({ loss: 4 }), scoredByTraining: true });
  expect(results.figures(toyExperiments()[0]!.groups[0]!.rows[0]!)).toEqual([{ loss: 4 }]);
});

it('collects nothing of a run that has no result', () => {
  const folder = path('none');
  const [first] = toyExperiments();
  expect(collectResults(folder, [1], { trainingFigures: () => ({}) }).figures(first!.groups[0]!.rows[0]!)).toEqual([undefined]);
});
