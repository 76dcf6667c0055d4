// The short form of `npm run faults`: each of its sections, on a few of its cases. How often each is tried in full
// stands in docs/reliability.md.
import { mkdirSync } from 'node:fs';
import { temporaryFolder } from '@xmoe/testing/programs';
import { afterAll, describe, expect, it } from 'vitest';
import { crashPoints } from '../faults/crash-points.js';
import { damage } from '../faults/damage.js';
import { failingCalls } from '../faults/failing-calls.js';
import { fuzz } from '../faults/fuzz.js';
import { kills } from '../faults/kills.js';
import { parseOptions } from '../faults/options.js';
import { testedPrograms } from '../faults/processes.js';
import { races } from '../faults/races.js';
import { putTable, tableOf, type SectionResults } from '../faults/record.js';
import { sampleOf, type Section } from '../faults/result.js';
import { signals } from '../faults/signals.js';
import { growthOf, soak } from '../faults/soak.js';
import { surroundings } from '../faults/surroundings.js';

const path = temporaryFolder(afterAll);

describe('as promised', () => {
  it.each<[string, Section, number]>([
    ['F1: killed at random moments', kills, 0.01],
    ['F2, F3: killed before, in and after calls that change files', crashPoints, 0.02],
    ['F8, F9: calls that fail, a full disk', failingCalls, 0.02],
    ['F11: damaged checkpoints', damage, 0.06],
    ['F12, F25, S2, S3: changed files of every kind', fuzz, 0.003],
    ['F16 to F18: several processes in one run directory, a copy', races, 0.1],
    ['F4: signals, and readers that go away', signals, 0.01],
    ['F10, F15, F44: other clocks, zones, rights and places; the order of syncs', surroundings, 0.01],
    ['F43: memory and open files stay flat', soak, 0.5],
  ])('%s', async (_, section, share) => {
    const folder = path(section.name);
    mkdirSync(folder);
    const results = await section({ folder, launch: testedPrograms(), share, jobs: 2, seed: 1, say: () => undefined });
    for (const { fault, what, tried, passed, notes } of results) expect(passed, `${fault} ${what}:\n${notes.join('\n')}`).toBe(tried);
    expect(results.every(({ tried }) => tried > 0)).toBe(true);
  });
});

describe('the command', () => {
  it('samples the first and the last of what there is', () => {
    const items = Array.from({ length: 100 }, (_, at) => at);
    expect(sampleOf(items, 1)).toEqual(items);
    expect(sampleOf(items, 0.05)).toEqual([0, 25, 50, 74, 99]);
    expect(sampleOf(items, 0.001)).toEqual([0, 99]);
    expect(sampleOf([7], 0.5)).toEqual([7]);
    expect(sampleOf([], 1)).toEqual([]);
  });

  it('tells what leaks from a heap that becomes larger once', () => {
    const readings = (at: (index: number) => number): number[] => Array.from({ length: 100 }, (_, index) => at(index));
    expect(growthOf(readings((index) => 100 + index / 10)).growth).toBeGreaterThan(0.07);
    expect(growthOf(readings((index) => (index < 41 ? 100 : 140)))).toEqual({ growth: 0, jump: 0.4 });
    expect(growthOf(readings((index) => (index < 41 ? 100 : 140) + index / 10)).growth).toBeGreaterThan(0.07);
    expect(growthOf([100, 100, 140])).toEqual({ growth: 0, jump: 0.4 });
  });

  it('reads its flags and refuses others', () => {
    expect(parseOptions(['--', '--only', 'kills', '--share', '0.5'], ['kills', 'soak'])).toMatchObject({ sections: ['kills'], share: 0.5, jobs: 2 });
    expect(() => parseOptions(['--only', 'kils'], ['kills'])).toThrow('unknown section "kils"');
    for (const share of ['0', '2', '-1', 'x', '']) expect(() => parseOptions(['--share', share], ['kills'])).toThrow('--share');
    expect(() => parseOptions(['--fast'], ['kills'])).toThrow('--fast');
  });

  it('puts its rows between the marks of a document, in order, and keeps those of other sections', () => {
    const rowOf = (section: string, passed: number): SectionResults => ({ section, results: [{ fault: 'F1', what: 'killed', tried: 2, passed, notes: [] }], about: 'Here.' });
    const row = (section: string, passed: number): string => `| ${section} | F1 | killed | ${passed} of 2 | Here. |\n`;
    const put = (document: string, ...sections: SectionResults[]): string => putTable(document, sections, ['kills', 'soak'], 'a.md');
    const document = 'before\n<!-- faults: begin -->\n<!-- faults: end -->\nafter\n';
    const first = put(document, rowOf('soak', 2));
    expect(first).toContain(row('soak', 2));
    expect(tableOf([rowOf('soak', 2)])).toContain(row('soak', 2));
    const second = put(first, rowOf('kills', 1));
    expect(second).toContain(row('kills', 1) + row('soak', 2));
    expect(put(second, rowOf('kills', 2))).toContain(row('kills', 2) + row('soak', 2));
    expect(second.startsWith('before\n') && second.endsWith('after\n')).toBe(true);
    expect(() => put('nothing')).toThrow('a.md has no place for the table');
  });
});
