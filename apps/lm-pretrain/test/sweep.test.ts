// sweep --vary: trains a grid, each run in a directory of its own, and does not make again what is finished; what it refuses.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { EXPERTS, runHere, SMALL, startProcess, temporaryFolder, writeCorpus } from './support.js';

const path = temporaryFolder();
const flags = [...SMALL, ...EXPERTS, '--data', writeCorpus(path('corpus.jsonl')), '--data-root', path('data'), '--max-steps', '6', '--test-windows', '4'];
const out = path('sweep');

describe('sweep --vary', () => {
  it('trains each value in a directory of its own, compares them, and goes on from there', async () => {
    const first = await startProcess('sweep', '--vary', 'moe.router.threshold=0.2,1', ...flags, '--out', out, '--jobs', '2').ended;
    expect(first.messages).not.toContain('error');
    expect(first.code).toBe(0);
    expect(first.output).toMatch(/configurations +2\n +seeds +1, which says nothing of the spread\n +runs +2, 0 finished, 2 at a time/);
    expect(first.output).toMatch(/\n +threshold=0\.2 +1 +\d\.\d{4} [^]*\n +threshold=1 +1 +\d\.\d{4} +[+−]\d\.\d{4} \?/);
    const names = readdirSync(path('sweep', 'runs')).toSorted();
    expect(names).toEqual([expect.stringMatching(/^threshold-0\.2-seed1-\w{10}$/), expect.stringMatching(/^threshold-1-seed1-\w{10}$/)]);
    const times = names.map((name) => statSync(path('sweep', 'runs', name, 'summary.json')).mtimeMs);
    const again = await startProcess('sweep', '--vary', 'threshold=0.2,1', ...flags, '--out', out, '--json').ended; // the same by its flag
    expect(again.code).toBe(0);
    expect(names.map((name) => statSync(path('sweep', 'runs', name, 'summary.json')).mtimeMs)).toEqual(times);
    const { groups } = JSON.parse(again.output);
    expect(groups.map(({ label, seeds }: { label: string; seeds: number[] }) => [label, seeds])).toEqual([['threshold=0.2', [1]], ['threshold=1', [1]]]);
    expect(groups[1].figures.wantedEvaluation.mean).toBe(4);
    expect(readFileSync(join(out, 'report.html'), 'utf8')).toContain('loss-by-flops');
  }, 200_000);

  it('prints the plan and makes nothing with --dry-run; seeds begin with that of the configuration', async () => {
    const { output } = await runHere('sweep', '--vary', 'experts=2,4', '--vary', 'router=topk,switch', '--seeds', '3', '--seed', '7', ...SMALL, '--dry-run', '--out', path('dry'));
    expect(output).toMatch(/configurations +4\n +seeds +7 to 9\n +runs +12, 0 finished/);
    expect(existsSync(path('dry'))).toBe(false);
  });

  it.each([
    [['--vary', 'threshold=0.5,2'], 'moe.router.threshold: too big'],
    [['--vary', 'threshhold=0.5,0.9'], 'unknown flag --threshhold, did you mean --threshold?'],
    [['--vary', 'router=topk,treshold'], 'did you mean threshold?'],
    [['--vary', 'seed=1,2'], 'seeds are given by --seeds'],
    [['--vary', 'experts=2,4', '--top-k', '2'], '--top-k is for evaluating runs, and --vary trains'],
    [['--vary', 'experts=2,4', '--threshold', '0.3,0.4'], '--threshold has several values\n  to train with each: --vary threshold=0.3,0.4'],
    [['runs/a', '--vary', 'experts=2,4'], 'unexpected argument "runs/a"'],
    [['runs/a', '--out', 'x'], '--out is for training, and nothing is varied'],
    [['runs/a', '--max-step', '3'], 'unknown option --max-step'],
    [[], 'no run is named, and nothing is varied'],
  ])('refuses %j', async (args, message) => {
    expect(await runHere('sweep', ...args)).toMatchObject({ code: 2, output: '', messages: expect.stringContaining(message) });
  });

  it('refuses a folder that is something else', async () => {
    const { code, messages } = await runHere('sweep', '--vary', 'experts=2,4', ...SMALL, '--out', path('data'));
    expect({ code, messages }).toEqual({ code: 2, messages: expect.stringContaining('holds something else than experiments') });
  });
});
