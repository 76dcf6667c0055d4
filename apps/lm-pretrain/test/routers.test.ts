// Every router and every dispatch path trains with one flag, on real kernels, and reports itself in summary.json.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { EXPERTS, metricsOf, mustRun, SMALL, temporaryFolder, writeCorpus } from './support.js';

const path = temporaryFolder();
const corpus = writeCorpus(path('corpus.jsonl'));

async function train(name: string, ...flags: string[]) {
  const run = path(name);
  const { output, messages } = await mustRun(
    'train', ...SMALL, ...(flags.includes('dense') ? [] : EXPERTS), '--test-windows', '4', '--max-steps', '3', '--data', corpus, '--data-root', path('data'), '--out', run, ...flags,
  );
  const summary = JSON.parse(readFileSync(join(run, 'summary.json'), 'utf8'));
  return { run, output, messages, summary, rows: metricsOf(run) };
}

describe.each([
  [['--router', 'threshold'], { router: 'threshold', dispatch: 'budget' }],
  [['--router', 'topk', '--k', '2', '--noise', 'true'], { router: 'topk', dispatch: 'budget' }],
  [['--router', 'switch', '--dispatch', 'padded'], { router: 'switch', dispatch: 'padded' }],
  [['--router', 'hash', '--balanced', 'true'], { router: 'hash' }],
  [['--router', 'base', '--dispatch', 'grouped'], { router: 'base', dispatch: 'grouped' }],
  [['--router', 'null-experts', '--shared-hidden', '8', '--dispatch', 'grouped'], { router: 'null-experts', dispatch: 'grouped' }],
  [['--router', 'uniform'], { router: 'uniform' }],
  [['--router', 'dense'], { router: 'dense', dispatch: null }],
  [['--dispatch', 'grouped'], { router: 'threshold', dispatch: 'grouped' }],
  [['--dispatch', 'padded', '--capacity-factor', '1'], { router: 'threshold', dispatch: 'padded' }],
])('%j', (flags, expected) => {
  it('trains and writes every key of summary.json', async () => {
    const { summary, rows } = await train(flags.join('').replaceAll(/\W/g, ''), ...flags);
    expect(summary).toMatchObject({ preset: 'tiny', backend: 'tfjs:wasm', steps: 3, tokens: 3 * 4 * 16, testTokens: 64, ...expected });
    const numbers = [
      'testPerplexity', 'bitsPerByte', 'leakFreeTestPerplexity', 'leakFreeBitsPerByte', 'unigramPerplexity', 'bigramPerplexity',
      'unigramBitsPerByte', 'bigramBitsPerByte', 'tokensPerSecond', 'trainingSeconds', 'processorSeconds', 'parameters',
    ];
    for (const key of numbers) expect(summary[key], key).toBeGreaterThan(0);
    // The bits of all four models count the same tokens and the same bytes.
    for (const [bits, perplexity] of [['unigramBitsPerByte', 'unigramPerplexity'], ['leakFreeBitsPerByte', 'leakFreeTestPerplexity'], ['bitsPerByte', 'testPerplexity']] as const) {
      expect(summary[bits] / Math.log2(summary[perplexity])).toBeCloseTo(summary.bigramBitsPerByte / Math.log2(summary.bigramPerplexity), 10);
    }
    const layers = summary.router === 'dense' ? [] : ['h.1'];
    expect(Object.keys(summary.expertsPerToken)).toEqual(layers);
    expect(Object.keys(summary.dropRate)).toEqual(layers);
    if (summary.router === 'dense') expect([summary.budgetedFlops, summary.executedFlops]).toEqual([0, 0]);
    else expect(Math.min(summary.budgetedFlops, summary.executedFlops)).toBeGreaterThan(0);
    if (summary.dispatch === 'grouped') expect(summary.dropRate['h.1']).toBe(0);
    if (['switch', 'hash', 'base'].includes(summary.router)) expect(summary.expertsPerToken['h.1']).toBe(1);
    if (['topk', 'uniform'].includes(summary.router)) expect(summary.expertsPerToken['h.1']).toBeCloseTo(2, 12);
    expect(rows.filter(({ kind }) => kind === 'step')).toHaveLength(3);
    expect(rows.every(({ loss }) => loss === undefined || Number.isFinite(loss))).toBe(true);
  });
});

it('says what was wanted, kept and executed in training and on the test, and that a score with capacity leaks', async () => {
  const { summary, output } = await train('used', '--dispatch', 'padded', '--capacity-factor', '1');
  const { room, training, withCapacity, leakFree } = summary.experts;
  expect(room).toBe(1);
  expect(withCapacity.wanted).toBeCloseTo(leakFree.wanted, 1); // chosen by the same rule
  expect(withCapacity.kept).toBeLessThan(withCapacity.wanted);
  expect(training.kept).toBeLessThan(training.wanted);
  expect(leakFree.kept).toBe(leakFree.wanted);
  expect(leakFree.executedOverDense).toBeCloseTo((leakFree.kept * 16) / 32, 9); // experts of 16 beside a dense layer of 32
  expect(output).toMatch(/bits per byte; with capacity: later tokens leak in\n/);
  expect(output).toMatch(new RegExp(`test, with capacity +${withCapacity.wanted.toFixed(2)} +${withCapacity.kept.toFixed(2)} +1\\.00`));
  expect(output).toMatch(/test, nothing dropped .* no limit/);
  expect((await train('unlimited', '--dispatch', 'grouped')).output).not.toContain('leak');
});

it('without capacity, the two perplexities are those of the same computation', async () => {
  const { summary, output } = await train('same', '--dispatch', 'grouped', '--dropout', '0');
  expect(summary.leakFreeTestPerplexity / summary.testPerplexity).toBeCloseTo(1, 6);
  expect(output).toContain('Test perplexity per token, over 64 held-out tokens');
  expect(output).toMatch(/unigram model +\d+\.\d\d +\d+\.\d{3} bits per byte/);
});

it('the plain TypeScript backend computes the same losses', async () => {
  const [cpu, wasm] = [await train('cpu', '--backend', 'cpu:plain', '--test-windows', '1'), await train('wasm', '--test-windows', '1')];
  expect(cpu.summary.backend).toBe('cpu');
  cpu.rows.forEach(({ loss }, index) => {
    if (loss !== undefined) expect(loss / wasm.rows[index]!.loss!).toBeCloseTo(1, 3);
  });
});

it('two runs are bit-equal, and another seed is another run', async () => {
  const [first, second, other] = [await train('first'), await train('second'), await train('other', '--seed', '2')];
  const losses = ({ rows }: typeof first) => rows.map(({ loss }) => loss);
  expect(losses(second)).toEqual(losses(first));
  expect(losses(other)).not.toEqual(losses(first));
});

it('--debug nan names the op that made the first NaN', async () => {
  const failure = await train('nan', '--learning-rate', '1e38', '--clip-norm', '0', '--warmup-steps', '0', '--debug', 'nan').then(
    () => 'no error',
    (error: Error) => error.message,
  );
  expect(failure).toMatch(/error: \w+: .*(NaN|not finite|infinit)/i);
});
