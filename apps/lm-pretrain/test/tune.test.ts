// tune: the threshold for a goal, found on validation text, and stored as a run of its own.
import { existsSync, readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { EXPERTS, mustRun, runHere, SMALL, temporaryFolder, writeCorpus } from './support.js';

const path = temporaryFolder();
const wasm = ['--backend', 'cpu:wasm']; // leaves out what is not multiplied
interface Tuned {
  threshold: number;
  points: { threshold: number; perplexity: number; expertsPerToken: number; flops: number }[];
}
const tune = async (...flags: string[]): Promise<Tuned> => JSON.parse((await mustRun('tune', path('run'), ...wasm, '--max-windows', '4', '--json', ...flags)).output) as Tuned;

beforeAll(() => mustRun(
  'train', ...SMALL, ...EXPERTS, '--data', writeCorpus(path('corpus.jsonl')), '--data-root', path('data'), '--out', path('run'), '--max-steps', '20', '--learning-rate', '0.02', '--threshold', '0.6',
), 60_000);

describe('tune', () => {
  it('takes the largest threshold that keeps to the FLOPs', async () => {
    const { threshold, points } = await tune('--flops', '1');
    const at = points.find((point) => point.threshold === threshold)!;
    expect(at.flops).toBeLessThanOrEqual(1); // 2 of 4 experts of 16, over dense layers of 32
    for (const point of points) if (point.threshold > threshold) expect(point.flops).toBeGreaterThan(1);
    expect(points.find((point) => point.threshold === 1)).toMatchObject({ expertsPerToken: 4, flops: 2 });
  });

  it('takes the smallest threshold tried that keeps to the perplexity, and stores it', async () => {
    const { threshold, points } = await tune('--perplexity', '+2%', '--out', path('tuned'));
    const all = points.find((point) => point.threshold === 1)!.perplexity;
    const at = points.find((point) => point.threshold === threshold)!;
    expect(at.perplexity).toBeLessThanOrEqual(all * 1.02);
    expect(JSON.parse(readFileSync(path('tuned', 'config.json'), 'utf8'))).toMatchObject({ trained: false, config: { moe: { router: { threshold } } } });
    const score = JSON.parse((await mustRun('eval', path('tuned'), ...wasm, '--split', 'validation', '--max-windows', '4', '--json')).output);
    expect(score.leakFree.perplexity).toBeCloseTo(at.perplexity, 10);
  });

  it('prints all that it tried', async () => {
    const { output } = await mustRun('tune', path('run'), ...wasm, '--max-windows', '2', '--flops', '1');
    expect(output).toMatch(/^Within 1 of dense FLOPs, on validation text, nothing dropped:\n/);
    expect(output.match(/t = [01]\.\d{4} +perplexity \d+\.\d{3}, \d\.\d\d experts per token, \d\.\d{3}× dense FLOPs/g)).toHaveLength(8);
    expect(output).toMatch(/\n {2}→ t = /);
  });

  it.each([
    [[], 'one goal is needed'],
    [['--flops', '0.5', '--perplexity', '+1%'], 'one goal is needed'],
    [['--flops', '0'], '--flops is 0'],
    [['--flops', '0.01', '--max-windows', '2'], 'no threshold keeps to 0.01 of dense FLOPs: one expert per token is 0.50'],
    [['--perplexity', 'low'], '--perplexity is "low"'],
  ])('refuses %j', async (flags, message) => {
    const refused = await runHere('tune', path('run'), ...wasm, ...flags, '--out', path('never'));
    expect(refused).toMatchObject({ code: 2, output: '', messages: expect.stringContaining(message) });
    expect(existsSync(path('never'))).toBe(false);
  });
});
