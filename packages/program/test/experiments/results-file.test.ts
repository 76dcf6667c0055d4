// results.jsonl: figures of runs that were made elsewhere stand for the runs; what is no result is refused, and nothing that a file holds is lost.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '@xmoe/testing/programs';
import { afterAll, describe, expect, it } from 'vitest';
import { collectResults } from '../../src/experiments/collect-results.js';
import { planRuns, runKey } from '../../src/experiments/plan-runs.js';
import { readResults } from '../../src/experiments/results-file.js';
import { runsToMake } from '../../src/experiments/work.js';
import { arm, finishToys, reproduceToys, toyExperiments, toySuite } from './toy-suite.js';

const path = temporaryFolder(afterAll);
const call = (names: string[], options: object): Promise<string> => reproduceToys(names, { dataRoot: path('data'), ...options });
const linesOf = (file: string): { key: string; training: object; points: object }[] => readFileSync(file, 'utf8').trim().split('\n').map((line) => JSON.parse(line));
/** A folder with the runs of the first experiment, reported on; its results.jsonl. */
async function finished(folder: string, seeds: number[]): Promise<string> {
  await finishToys(folder, planRuns(toyExperiments().slice(0, 1), seeds));
  await call(['one'], { out: folder, reportOnly: true });
  return join(folder, 'results.jsonl');
}

describe('results of another folder', () => {
  it('are written with the report, a line for each finished run', async () => {
    const lines = linesOf(await finished(path('first'), [1, 2]));
    expect(lines.map(({ key }) => key.replace(/-[0-9a-f]{10}$/, ''))).toEqual(['a-seed1', 'b-seed1', 'a-seed2', 'b-seed2']);
    expect(lines[1]).toMatchObject({ training: { seconds: 2 }, points: { '{}': { loss: 2.1 } } });
  });

  it('stand for runs: the report is the same, and says whose weights are not here', async () => {
    const [from, to] = [path('from'), path('to')];
    const results = await finished(from, [1, 2, 3]);
    const text = await call(['one'], { out: to, results: [results] }); // would train by the program itself if there were something to make
    expect(text).toContain('6 distinct, 6 finished');
    expect(text).toContain(`6 of the plan’s runs in ${results}\n`);
    expect(text.replaceAll('\n', ' ')).toContain('6 of 6 runs were made elsewhere: their figures are known, their weights are not here, and their seconds may be another machine’s: what rests on times compares machines too.');
    const [one, other] = [from, to].map((folder) => JSON.parse(readFileSync(join(folder, 'report.json'), 'utf8')));
    expect(other.experiments).toEqual(one.experiments);
    expect(other.facts).toEqual(one.facts);
    expect(readFileSync(join(to, 'results.jsonl'), 'utf8')).toBe(readFileSync(results, 'utf8'));
    expect(existsSync(join(to, 'runs', linesOf(results)[0]!.key))).toBe(false);
  });

  it('are reported on without a folder, and the runs that are not there are made later', async () => {
    const results = await finished(path('some'), [1]);
    const text = await call(['one'], { out: path('report'), results: [results], reportOnly: true });
    expect(text).toContain('This report is not whole: 4 of 6 runs are missing');
    expect(await call(['one'], { out: path('report'), dryRun: true })).toContain('6 distinct, 0 finished');
    expect(await call(['one'], { out: path('report'), dryRun: true, results: [join(path('report'), 'results.jsonl')] })).toContain('6 distinct, 2 finished');
    await expect(call(['one'], { out: path('another'), reportOnly: true })).rejects.toThrow(/there is no folder/);
  });

  it('leave to be made what they do not know, and the sources of its weights', () => {
    const [source, next] = [arm('a', 1), { ...arm('b', 2), from: arm('a', 1) }];
    const experiment = (point: object) => ({ ...toyExperiments()[0]!, groups: [{ title: 'g', rows: [{ label: 'x', arm: next, point }, { label: 'y', arm: arm('c', 3), point: {} }] }], claims: [] });
    const known = (...keys: string[]) => new Map(keys.map((key) => [key, { key, training: {}, points: { '{}': { loss: 1 } } }]));
    const [a, b, c] = [runKey(source, 1), runKey(next, 1), runKey(arm('c', 3), 1)] as const;
    const made = (point: object, keys: string[]) => runsToMake({ plan: planRuns([experiment(point)], [1]), folder: path('empty'), elsewhere: known(...keys) }).map(({ key }) => key);
    expect(made({}, [a, b, c])).toEqual([]);
    expect(made({}, [a, b])).toEqual([c]);
    expect(made({}, [a, c])).toEqual([a, b]);
    expect(made({ t: 7 }, [a, b, c])).toEqual([a, b]); // evaluated at another point
  });

  it('go behind the runs of the folder, and a failure is known too', async () => {
    const folder = path('both');
    const results = await finished(folder, [1]);
    const [first, second] = linesOf(results);
    const other = path('other.jsonl');
    writeFileSync(other, [{ ...first, points: { '{}': { loss: 99 } } }, { ...second, points: {}, failure: 'it diverged' }].map((line) => `${JSON.stringify(line)}\n`).join(''));
    const [row] = toyExperiments()[0]!.groups[0]!.rows;
    const figures = (where: string) => collectResults(where, [1], toySuite, readResults([other])).figures(row!);
    expect(figures(folder)).toEqual([{ seconds: 2, loss: 3.1 }]);
    expect(figures(path('empty'))).toEqual([{ seconds: 2, loss: 99 }]);
    const text = await call(['one'], { out: path('failed'), seeds: 1, results: [other, results] });
    expect(text).toContain(`${second!.key} has no result: it diverged`);
  });

  it('stay in the file of a folder whose runs are gone, beside new ones', async () => {
    const folder = path('kept');
    const results = await finished(folder, [1, 2]);
    const before = linesOf(results);
    rmSync(join(folder, 'runs', before[0]!.key), { recursive: true });
    await finishToys(folder, planRuns(toyExperiments().slice(0, 1), [3]));
    await call(['one'], { out: folder, reportOnly: true });
    expect(linesOf(results)).toHaveLength(6);
    expect(linesOf(results)[0]).toEqual(before[0]);
  });

  it('count those of other plans', async () => {
    const results = await finished(path('more'), [1, 2]);
    expect(await call(['two'], { out: path('two'), results: [results], dryRun: true })).toMatch(/4 of the plan’s runs in \S+\n/);
    writeFileSync(results, `${JSON.stringify({ key: 'x', training: {}, points: {} })}\n`);
    expect(await call(['two'], { out: path('two'), results: [results], dryRun: true })).toContain('0 of the plan’s runs in');
    expect(await call(['two'], { out: path('two'), results: [results], dryRun: true })).toContain('; 1 there are of other plans');
  });
});

describe('what is no results', () => {
  const good = '{"key":"a","training":{"x":1},"points":{}}';
  it.each([
    ['a torn line', `${good}\n{"key":"b","trai`, /bad\.jsonl line 2/],
    ['no object', '[1]', /line 1/],
    ['a report', '{"command":"xmoe-lm reproduce"}', /line 1/],
    ['no key', '{"training":{},"points":{}}', /key/],
    ['an empty key', '{"key":"","training":{},"points":{}}', /key/],
    ['a text for a figure', '{"key":"a","training":{"loss":"3"},"points":{}}', /training\.loss/],
    ['null for a figure', '{"key":"a","training":{},"points":{"{}":{"loss":null}}}', /points/],
    ['a misspelt member', '{"key":"a","training":{},"points":{},"failures":"x"}', /failures/],
    ['a number beyond all', '{"key":"a","training":{"loss":1e999},"points":{}}', /line 1/],
  ])('is refused: %s', async (_, text, message) => {
    const file = path('bad.jsonl');
    writeFileSync(file, text);
    await expect(call(['one'], { out: path('refused'), results: [file] })).rejects.toMatchObject({ code: 'data', message: expect.stringMatching(message), hint: expect.stringContaining('results.jsonl') });
    expect(existsSync(path('refused'))).toBe(false);
  });

  it('is refused where there is none, or a folder', async () => {
    await expect(call(['one'], { results: [path('nowhere.jsonl')] })).rejects.toMatchObject({ code: 'io', message: expect.stringContaining('nowhere.jsonl') });
    mkdirSync(path('directory'));
    await expect(call(['one'], { results: [path('directory')] })).rejects.toMatchObject({ code: 'io', message: expect.stringContaining('EISDIR') });
  });

  it('may be empty, and end lines as Windows does', () => {
    writeFileSync(path('empty.jsonl'), '');
    writeFileSync(path('crlf.jsonl'), `${good}\r\n\r\n`);
    expect([...readResults([path('empty.jsonl'), path('crlf.jsonl')]).keys()]).toEqual(['a']);
  });
});
