// reproduce as a user types it: a plan whose runs are children of the command, killed in the middle and gone on with; and its report.
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { readLanguageConfig } from '@xmoe/models';
import type { Experiment } from '@xmoe/program/experiments';
import { describe, expect, it } from 'vitest';
import { languageSuite } from '../src/experiments/language-suite.js';
import { SCALES } from '../src/experiments/scales.js';
import { runHere, smallTexts, startProcess, temporaryFolder, waitUntil } from './support.js';

const path = temporaryFolder();

describe('the experiments', () => {
  it.each(SCALES.map(({ name }) => name))('are valid configurations at scale %s, with equal FLOPs in the arms of Table 1', (scale) => {
    const experiments = languageSuite.experiments(scale, {});
    expect(experiments.map(({ name }) => name)).toEqual(languageSuite.names);
    const [first] = experiments.find(({ name }) => name === 'table1')!.groups;
    const costs = first!.rows.map(({ arm }) => languageSuite.flopsOf(arm.config));
    // Equal but for the gate.
    for (const cost of costs) expect(cost / costs[0]!).toBeLessThan(1.1);
    expect(Math.min(...costs)).toBe(costs[0]);
  });

  it('stand on the presets of the paper at scale paper', () => {
    const [first] = languageSuite.experiments('paper', {}).find(({ name }) => name === 'table1')!.groups;
    const config = readLanguageConfig(first!.rows.at(-1)!.arm.config);
    expect(config).toMatchObject({
      moe: { experts: 64, expertHidden: 384, capacityFactor: 8, router: { type: 'threshold', threshold: 0.9 }, dispatch: 'padded', balanceCoefficient: 0.01 },
      model: { width: 768, layers: 12, contextLength: 1024 }, train: { steps: 60_000, warmupSteps: 6000, batchSize: 8, accumulation: 32 },
    });
    const wiki = languageSuite.experiments('paper', {}).find(({ name }) => name === 'table1')!.groups[1]!.rows[0]!.arm.config as { train: object };
    expect(wiki.train).toMatchObject({ steps: 4000, warmupSteps: 400 });
  });

  it('balance asks both corpora, at the FLOPs of the dense layer, and shares what routers has made of the first', () => {
    const all = languageSuite.experiments('small', {});
    const named = (name: string): Experiment => all.find((one) => one.name === name)!;
    const [first, second, ...more] = named('balance').groups;
    expect([first!.title, second!.title, more]).toEqual(['width 96, State of the Union', 'width 96, Brown', []]);
    const costs = first!.rows.map(({ arm }) => languageSuite.flopsOf(arm.config));
    for (const cost of costs) expect(cost / costs[0]!).toBeLessThan(1.1);
    const made = named('routers').groups[0]!.rows;
    const shared = first!.rows.filter(({ arm }) => made.some((row) => isDeepStrictEqual(row.arm.config, arm.config)));
    expect(first!.rows.filter((row) => !shared.includes(row)).map(({ label }) => label)).toEqual([
      'top-k, not balanced', 'top-k of sigmoids, not balanced', 'top-k, balanced by a bias by signs',
    ]);
  });

  it('set data and steps where they are given', () => {
    const [first] = languageSuite.experiments('tiny', { data: [path('a.txt')], maxSteps: 40 });
    expect(first!.groups.map(({ title }) => title)).toEqual(['width 64, your text', 'width 96, your text']);
    expect(first!.groups[0]!.rows[0]!.arm.config).toMatchObject({ data: { files: [path('a.txt')] }, train: { steps: 40, warmupSteps: 1 } });
  });
});

describe('reproduce', () => {
  const corpus = path('text.jsonl');
  writeFileSync(corpus, smallTexts(900).map((text) => `${JSON.stringify({ text })}\n`).join(''));
  const out = path('out');
  const flags = ['table2', '--max-steps', '3', '--seeds', '1', '--backend', 'tfjs:wasm', '--data', corpus, '--data-root', path('data'), '--out', out];
  const runs = (): string[] => readdirSync(join(out, 'runs'));
  const finished = (): string[] => (existsSync(join(out, 'runs')) ? runs().filter((name) => existsSync(join(out, 'runs', name, 'points.json'))) : []);

  it('trains what is missing, also after a kill, and reports it', async () => {
    const first = startProcess('reproduce', ...flags);
    await waitUntil(first, () => finished().length > 0);
    first.child.kill('SIGKILL');
    await first.ended;
    const [kept] = finished();
    const before = statSync(join(out, 'runs', kept!, 'points.json')).mtimeMs;
    const second = await startProcess('reproduce', ...flags, '--jobs', '2').ended;
    expect(second.messages).not.toContain('error');
    expect(second.code).toBe(0);
    expect(second.output).toMatch(/3 distinct, [12] finished, 2 at a time/);
    expect(statSync(join(out, 'runs', kept!, 'points.json')).mtimeMs).toBe(before);
    expect(finished()).toHaveLength(3);
    const report = JSON.parse(readFileSync(join(out, 'report.json'), 'utf8'));
    const [group] = report.experiments[0].groups;
    expect(group.rows.map(({ seeds }: { seeds: number }) => seeds)).toEqual(group.rows.map(() => 1));
    const quarter = group.rows.find(({ label }: { label: string }) => label === 'γ = 2, FLOPs 0.25');
    expect(quarter.figures.keptEvaluation.mean).toBeLessThan(3); // of 8; padding of the last batch has room too
    expect(quarter.published).toEqual({ OpenWebText: 23.07 });
    expect(report.warnings.join()).toContain('One seed says little');
    expect(readFileSync(join(out, 'report.html'), 'utf8')).toContain('class="claims"');
  }, 300_000);

  it.each([
    [['table9'], 'unknown experiment "table9"'],
    [['table1', '--scale', 'huge'], "option '--scale <name>' argument 'huge' is invalid"],
    [['table1', '--seeds', '0'], 'expected a whole number from 1'],
    [['table1', '--jobs', 'x'], 'expected a whole number'],
    [[], "missing required argument 'what'"],
  ])('refuses %j', async (args, message) => {
    expect(await runHere('reproduce', ...args)).toMatchObject({ code: 2, messages: expect.stringContaining(message) });
  });

  it('refuses a folder that is a run', async () => {
    mkdirSync(path('run'));
    writeFileSync(path('run', 'config.json'), '{}');
    expect(await runHere('reproduce', 'table1', '--out', path('run'))).toMatchObject({ code: 2, messages: expect.stringContaining('holds something else than experiments') });
  });
});
