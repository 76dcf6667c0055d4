// The metrics log: rows come back, a resume leaves no step twice, torn lines are survived.
import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createMetricsLog, readMetrics } from '../../src/metrics/metrics-log.js';
import type { EvaluationRow, StepRow } from '../../src/metrics/rows.js';

let path: string;
beforeEach(async () => {
  path = join(await mkdtemp(join(tmpdir(), 'xmoe-metrics-')), 'run', 'metrics.jsonl');
});
afterEach(() => rm(join(path, '../..'), { recursive: true }));

const stepRow = (step: number, loss = 1 / step): StepRow => ({
  kind: 'step', step, loss, learningRate: 1e-3, tokens: 64, tokensPerSecond: 10, seconds: 6.4, expertsPerToken: [1, 2], dropRate: [0, 0.5],
});
const evaluationRow = (step: number, split = 'validation'): EvaluationRow => ({ kind: 'evaluation', step, split, loss: 2, perplexity: 7.4 });
const steps = () => readMetrics(path).filter(({ kind }) => kind === 'step').map(({ step }) => step);

describe('createMetricsLog', () => {
  it('returns what was appended, at once, NaN and infinities included', () => {
    const log = createMetricsLog({ path });
    const rows = [stepRow(1), stepRow(2, Number.NaN), { ...stepRow(3), gradientNorm: Infinity }, evaluationRow(3), evaluationRow(3, 'test'),
      { kind: 'routing' as const, step: 3, load: [[0.5, 0.5]], layers: ['encoder 2'] }];
    for (const row of rows) expect(log.append(row)).toBe(true);
    expect(readMetrics(path)).toEqual(rows); // before close or flush
    log.flush();
    log.close();
    expect(readMetrics(path)).toEqual(rows);
  });

  it('removes what came after the resumed step and writes no kept row again', () => {
    const first = createMetricsLog({ path });
    for (let step = 1; step <= 5; step++) first.append(stepRow(step));
    first.append(evaluationRow(3));
    first.append(evaluationRow(5));
    first.close();
    const second = createMetricsLog({ path, resumeFrom: 3 });
    expect(steps()).toEqual([1, 2, 3]);
    expect(second.append(evaluationRow(3))).toBe(false);
    expect(second.append(evaluationRow(3, 'test'))).toBe(true);
    for (let step = 4; step <= 6; step++) second.append(stepRow(step, 100 + step));
    second.close();
    expect(steps()).toEqual([1, 2, 3, 4, 5, 6]);
    expect(readMetrics(path).filter(({ kind }) => kind === 'evaluation').map(({ step }) => step)).toEqual([3, 3]);
  });

  it('F45: survives a last line that a crash cut off', async () => {
    const first = createMetricsLog({ path });
    first.append(stepRow(1));
    first.append(stepRow(2));
    first.close();
    await appendFile(path, '{"kind":"step","step":3,"lo');
    expect(steps()).toEqual([1, 2]);
    const second = createMetricsLog({ path, resumeFrom: 2 });
    second.append(stepRow(3));
    second.close();
    expect(steps()).toEqual([1, 2, 3]);
    expect(await readFile(path, 'utf8')).toMatch(/^(\{.*\}\n){3}$/);
  });

  it('refuses to append to another run, and a step twice', () => {
    const log = createMetricsLog({ path });
    log.append(stepRow(2));
    expect(() => log.append(stepRow(2))).toThrow('step 2 of step comes after step 2');
    expect(() => log.append(stepRow(1))).toThrow('comes after');
    expect(() => createMetricsLog({ path })).toThrow('exists already');
    log.close();
  });

  it.each([['a file', true], ['nothing', false]])('writes through no symbolic link to %s', async (_, exists) => {
    const target = join(path, '../../elsewhere');
    if (exists) await writeFile(target, 'precious');
    await mkdir(join(path, '..'));
    await symlink(target, path);
    for (const options of [{ path }, { path, resumeFrom: 0 }]) expect(() => createMetricsLog(options)).toThrow(expect.objectContaining({ code: 'io', message: `${path} is a symbolic link` }));
    expect(await readFile(target, 'utf8').catch(() => 'absent')).toBe(exists ? 'precious' : 'absent');
  });

  it('keeps the lines of before a resume as they are, and goes through no name that can be guessed', async () => {
    createMetricsLog({ path }).close();
    const line = '{"seconds":1,"kind":"step","step":1,"loss":2.50,"learningRate":1e-3,"tokens":64,"tokensPerSecond":10}\n';
    await writeFile(path, line);
    const precious = join(path, '../precious');
    await writeFile(precious, 'kept');
    await symlink(precious, `${path}.temporary`);
    createMetricsLog({ path, resumeFrom: 1 }).close();
    expect(await readFile(path, 'utf8')).toBe(line);
    expect(await readFile(precious, 'utf8')).toBe('kept');
    expect((await readdir(join(path, '..'))).sort()).toEqual(['metrics.jsonl', 'metrics.jsonl.temporary', 'precious']);
  });

  it('resumes without a file, from nothing', () => {
    const log = createMetricsLog({ path, resumeFrom: 7 });
    log.append(stepRow(8));
    log.close();
    expect(steps()).toEqual([8]);
  });

  it('names a line that is no row', async () => {
    createMetricsLog({ path }).close();
    await writeFile(path, '{"kind":"step","step":1,"los":2}\n');
    expect(() => readMetrics(path)).toThrow(/metrics\.jsonl line 1: unknown key los = 2, did you mean "loss"\?/);
    await writeFile(path, 'x\n{}\n');
    expect(() => readMetrics(path)).toThrow(/metrics\.jsonl line 1 is not valid JSON/);
  });
});
