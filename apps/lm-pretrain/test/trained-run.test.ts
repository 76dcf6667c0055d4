// The commands that use a run: eval, sample, inspect. One run, trained once.
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { languageSuite } from '../src/experiments/language-suite.js';
import { beforeAll, describe, expect, it } from 'vitest';
import { checkpointsOf, EXPERTS, mustRun, runHere, SMALL, temporaryFolder, writeCorpus } from './support.js';

const path = temporaryFolder();
const run = path('run');
const wasm = ['--backend', 'tfjs:wasm'];
beforeAll(() => mustRun(
  'train', ...SMALL, ...EXPERTS, '--data', writeCorpus(path('corpus.jsonl')), '--data-root', path('data'), '--out', run,
  '--max-steps', '40', '--learning-rate', '0.02', '--checkpoint-every', '20', '--dispatch', 'padded', '--capacity-factor', '1', '--threshold', '0.6',
), 120_000);
const summary = () => JSON.parse(readFileSync(path('run', 'summary.json'), 'utf8'));

describe('sweep', () => {
  const sweep = async (...flags: string[]) => JSON.parse((await mustRun('sweep', run, ...wasm, '--max-windows', '4', '--json', ...flags)).output).evaluations;

  it('evaluates a grid of rules and capacities, by rules that the run was not trained with', async () => {
    const grid = await sweep('--threshold', '0.2,1', '--top-k', '2', '--capacity-factor', '1,4');
    expect(grid.map(({ how, leaks }: { how: string; leaks: boolean }) => [how, leaks])).toEqual(
      ['t = 0.2, padded, γ = 1', 't = 0.2, padded, γ = 4', 't = 1, padded, γ = 1', 't = 1, padded, γ = 4', 'top-2, padded, γ = 1', 'top-2, padded, γ = 4'].map((how) => [how, true]),
    );
    const dropless = await sweep('--top-k', '1,2,4');
    expect(dropless.map(({ figures }: { figures: { wantedEvaluation: number; dropEvaluation: number } }) => [figures.wantedEvaluation, figures.dropEvaluation])).toEqual([[1, 0], [2, 0], [4, 0]]);
    const [all] = await sweep('--threshold', '1');
    expect(all.figures.loss).toBeCloseTo(dropless[2].figures.loss, 6); // all experts, by either rule
  });

  it('of nothing else is what eval says', async () => {
    const [{ figures, how }] = await sweep();
    const { leakFree } = JSON.parse((await mustRun('eval', run, ...wasm, '--checkpoint', 'latest', '--max-windows', '4', '--json')).output);
    expect(how).toBe('t = 0.6, nothing dropped');
    expect(figures).toMatchObject({ loss: leakFree.loss, executedEvaluation: leakFree.expertsOverDense });
  });

  it('takes points from a file, prints a table that names what leaks, and draws a page', async () => {
    writeFileSync(path('points.json'), '[{"topK": 2, "dispatch": "budget", "capacityFactor": 1}, {}]');
    const { output } = await mustRun('sweep', run, ...wasm, '--max-windows', '4', '--points', path('points.json'), '--html', path('sweep.html'));
    expect(output.match(/leaks from later tokens/g)).toHaveLength(1);
    expect(output).toMatch(/run: top-2, budget, γ = 1 +\d/);
    expect(readFileSync(path('sweep.html'), 'utf8')).toMatch(/<svg[^]*top-2, budget/);
  });

  it('finds the threshold that gives so many experts per token, on validation text', async () => {
    writeFileSync(path('average.json'), '[{"perToken": 1}, {"perToken": 2.5}, {"perToken": 4}]');
    const found = await sweep('--points', path('average.json'), '--split', 'validation', '--max-windows', 'all');
    expect(found.map(({ how }: { how: string }) => how)).toEqual(['1', '2.5', '4'].map((count) => `${count} per token by t, nothing dropped`));
    const [one, between, all] = found.map(({ figures }: { figures: { wantedEvaluation: number } }) => figures.wantedEvaluation);
    expect(one).toBe(1);
    expect(Math.abs(between - 2.5)).toBeLessThan(0.1);
    expect(all).toBeGreaterThan(3.95);
  });

  it.each([
    [['--top-k', '5'], '5 experts per token are more than the 4 of the run'],
    [['--threshold', '0.5,2'], 'threshold'],
    [['--threshold', '0.5,,1'], 'expected a number'],
    [['--capacity-factor', '0'], 'capacityFactor'],
    [['--points', 'nowhere.json'], 'cannot read the points in nowhere.json'],
    [['--split', 'tset'], 'Did you mean test?'],
  ])('refuses %j', async (flags, message) => {
    expect(await runHere('sweep', run, ...wasm, ...flags)).toMatchObject({ code: 2, output: '', messages: expect.stringContaining(message) });
  });
});

describe('compare', () => {
  it('tells of a run what its summary says, and refuses a copy on other data', async () => {
    const { groups, scored } = JSON.parse((await mustRun('compare', run, '--out', path('compared'), '--json')).output);
    expect(scored).toBe('320 tokens');
    const { leakFreeTestPerplexity, leakFreeBitsPerByte, experts, executedFlops, budgetedFlops } = summary();
    const figures = Object.fromEntries(Object.entries(groups[0].figures as Record<string, { mean: number }>).map(([key, { mean }]) => [key, mean]));
    expect(figures).toMatchObject({ perplexity: leakFreeTestPerplexity, bitsPerByte: leakFreeBitsPerByte, executedEvaluation: experts.leakFree.executedOverDense });
    expect(Math.exp(groups[0].quality.mean)).toBeCloseTo(leakFreeTestPerplexity, 8);
    // 40 steps of 64 tokens: what all computes beside experts, and what they executed of their budget.
    const perToken = languageSuite.flopsPerToken(JSON.parse(readFileSync(path('run', 'config.json'), 'utf8')).config);
    expect(figures['modelFlops']! / (40 * 64 * perToken - budgetedFlops + executedFlops)).toBeCloseTo(1, 2); // in the summary, steps between two counted ones are those before
    cpSync(run, path('elsewhere'), { recursive: true });
    const config = JSON.parse(readFileSync(path('elsewhere', 'config.json'), 'utf8'));
    const { output } = await mustRun('prepare', '--data', writeCorpus(path('other.jsonl'), 50), '--data-root', path('data'), '--set', 'data.tokenizer.vocabularySize=280');
    writeFileSync(path('elsewhere', 'config.json'), JSON.stringify({ ...config, data: /(\S*other-\S+)/.exec(output)![1] }));
    expect(await runHere('compare', run, path('elsewhere'))).toMatchObject({ code: 2, output: '', messages: expect.stringContaining(`${path('elsewhere')} have other test data than ${run}`) });
  });
});

describe('eval', () => {
  const scores = async (...flags: string[]) => JSON.parse((await mustRun('eval', run, ...wasm, '--json', ...flags)).output);

  it('repeats what training reported, with capacity and without', async () => {
    const result = await scores('--checkpoint', 'latest'); // as many windows as training scored
    expect(result.withCapacity).toMatchObject({ perplexity: summary().testPerplexity, bitsPerByte: summary().bitsPerByte, tokens: 320 });
    expect(result).toMatchObject({ windows: 20, allWindows: expect.toSatisfy((all: number) => all > 20) });
    expect(result.leakFree.perplexity).toBe(summary().leakFreeTestPerplexity);
    expect(result.withCapacity.routing[0].summary.dropRate).toBeCloseTo(summary().dropRate['h.1'], 12);
    expect(result.leakFree.routing[0].summary.dropRate).toBe(0);
    expect(result.backend).toBe('tfjs:wasm');
  });

  it('scores the whole split, in bits of its bytes', async () => {
    const { withCapacity } = await scores('--split', 'validation', '--max-windows', 'all');
    expect(withCapacity.tokens).toBeGreaterThan(320);
    expect(withCapacity.bitsPerByte).toBeCloseTo((withCapacity.loss * withCapacity.tokens) / Math.LN2 / withCapacity.bytes, 10);
  });

  it('takes another threshold, capacity factor and group', async () => {
    const [usual, more, all] = [await scores(), await scores('--threshold', '0.95'), await scores('--threshold', '1', '--capacity-factor', '4', '--batch-size', '1')];
    const experts = (result: typeof usual): number => result.leakFree.routing[0].summary.expertsPerToken;
    expect(experts(more)).toBeGreaterThan(experts(usual));
    expect(experts(all)).toBe(4);
    expect(all.withCapacity.routing[0].summary.dropRate).toBe(0); // γ = N takes all
    expect(all.withCapacity.perplexity / all.leakFree.perplexity).toBeCloseTo(1, 5);
  });

  it('says what a threshold saves, where the backend leaves out empty slots', async () => {
    const cost = async (backend: string, threshold: string): Promise<[share: number, kept: number]> => {
      const flags = ['--backend', backend, '--max-windows', '4', '--capacity-factor', '4', '--threshold', threshold];
      const { withCapacity } = JSON.parse((await mustRun('eval', run, ...flags, '--json')).output);
      const { output } = await mustRun('eval', run, ...flags);
      expect(output).toContain(`experts ${withCapacity.expertsOverDense.toFixed(2)}× dense FLOPs`);
      return [withCapacity.expertsOverDense, withCapacity.routing[0].summary.keptPerToken];
    };
    // Experts of 16 beside dense layers of 32.
    for (const threshold of ['0.3', '1']) {
      const [share, kept] = await cost('cpu:wasm', threshold);
      expect(share).toBeCloseTo((kept * 16) / 32, 12);
      expect(kept < 4).toBe(threshold === '0.3');
      expect((await cost('tfjs:wasm', threshold))[0]).toBeCloseTo((4 * 16) / 32, 12);
    }
  });

  it('counts positive hidden units in every layer with --positive, and scores the same', async () => {
    const [usual, counted] = [await scores('--max-windows', '4'), await scores('--max-windows', '4', '--positive')];
    expect(counted.withCapacity.loss).toBeCloseTo(usual.withCapacity.loss, 5);
    expect(counted.withCapacity.expertsOverDense).toBe(usual.withCapacity.expertsOverDense);
    expect(counted.leakFree.routing.map(({ layer }: { layer: string }) => layer)).toEqual(['h.0', 'h.1']);
    for (const { summary } of counted.leakFree.routing) expect(summary.positiveShare).toEqual(expect.toSatisfy((share: number) => share > 0.05 && share < 0.95));
    const { output } = await mustRun('eval', run, ...wasm, '--max-windows', '4', '--positive');
    expect(output).toMatch(/h\.0 +dense, \d+\.\d % of hidden units positive\n/);
    expect(output).toMatch(/h\.1 .*% dropped, \d+\.\d % of hidden units positive \(\d+\.\d % with empty room as zeros\)/);
  });

  it('prints for people, and says what capacity means', async () => {
    const { output } = await mustRun('eval', run, ...wasm, '--max-windows', '4');
    expect(output).toMatch(/^test split, the first 4 of \d+ windows \(--max-windows all scores them all\), .*step-000000\d0\n/);
    expect(output).toMatch(/padded, γ = 1 +perplexity \d+\.\d{3}, \d\.\d{4} bits per byte, 64 tokens, experts \d\.\d\d× dense FLOPs/);
    expect(output).toContain('grouped, nothing dropped');
    expect(output).toContain('later tokens can push earlier ones out');
  });

  it.each([
    [['--split', 'tset'], 'Did you mean test?'],
    [['--capacity-factor', '0'], 'the capacity factor is 0'],
    [['--threshold', '1.5'], 'the threshold is 1.5'],
    [['--checkpoint', 'nowhere'], /no checkpoint "nowhere"\n  checkpoints there: step-\d+, .*step-\d+; also best and latest/, 3],
    [['--backend', 'tfjs:wsam'], 'did you mean tfjs:wasm?'],
  ] as [string[], string | RegExp, number?][])('refuses %j', async (flags, message, code = 2) => {
    const refused = await runHere('eval', run, ...wasm, ...flags);
    expect(refused).toMatchObject({ code, output: '' });
    expect(refused.messages).toMatch(message);
    expect(refused.messages).toMatch(/^error: /);
  });
});

describe('sample', () => {
  const sample = async (...flags: string[]) => (await mustRun('sample', run, ...wasm, '--max-tokens', '24', ...flags)).output;

  it('repeats itself with a seed, and differs with another', async () => {
    expect(await sample('--seed', '3')).toBe(await sample('--seed', '3'));
    expect(await sample('--seed', '3')).not.toBe(await sample('--seed', '4'));
  });

  it('temperature 0 ignores the seed', async () => {
    expect(await sample('--temperature', '0', '--seed', '3')).toBe(await sample('--temperature', '0', '--seed', '4'));
  });

  it('continues any text, longer than the context as well', async () => {
    const prompt = 'naïve café – 日本語 🎓 ';
    expect((await sample('--prompt', prompt)).startsWith(prompt)).toBe(true);
    expect((await sample('--prompt', prompt.repeat(9), '--max-tokens', '2')).startsWith(prompt.repeat(9))).toBe(true);
    expect(await sample('--prompt', '', '--max-tokens', '0')).toBe('\n');
  });

  it('needs the checkpoint only, not the shards', async () => {
    const moved = path('moved');
    cpSync(run, moved, { recursive: true });
    const record = JSON.parse(readFileSync(path('moved', 'config.json'), 'utf8')) as { data: string };
    const aside = path('shards-aside');
    cpSync(record.data, aside, { recursive: true });
    rmSync(record.data, { recursive: true });
    try {
      expect((await mustRun('sample', moved, ...wasm, '--max-tokens', '3')).output).toMatch(/^The /);
      expect((await mustRun('inspect', moved, ...wasm, '--text', 'peace')).output).toContain('experts per token');
      expect((await runHere('eval', moved, ...wasm)).messages).toContain('is not a directory of prepared shards');
    } finally {
      cpSync(aside, record.data, { recursive: true });
    }
  });

  it('refuses what makes no sense before anything is loaded', async () => {
    expect(await runHere('sample', run, '--temperature', '-1')).toMatchObject({ code: 2, output: '', messages: expect.stringContaining('the temperature is -1') });
    expect(await runHere('sample', path('none'))).toMatchObject({ code: 2, messages: expect.stringContaining('none holds no run') });
  });
});

describe('inspect', () => {
  it('shows every token of a text with its experts, in the terminal and as a page', async () => {
    const html = path('page.html');
    const { output } = await mustRun('inspect', run, ...wasm, '--text', 'war <b>& peace</b>\nof 日本', '--html', html);
    expect(output).toMatch(/h\.1 +\d\.\d\d experts per token/);
    expect(output).toContain('\\n');
    expect(output).toContain(html);
    const page = readFileSync(html, 'utf8');
    expect(page).not.toContain('<b>');
    expect(page.match(/<span/g)!.length).toBeGreaterThan(5);
  });

  it('begins with the test split, and writes beside the run', async () => {
    const { output } = await mustRun('inspect', run, ...wasm);
    expect(output).toContain(path('run', 'inspect.html'));
    expect(existsSync(path('run', 'inspect.html'))).toBe(true);
    expect(readFileSync(path('run', 'inspect.html'), 'utf8').match(/<span/g)).toHaveLength(16); // one window
  });

  it('takes a named checkpoint, and refuses an empty text', async () => {
    const [first] = checkpointsOf(run);
    await mustRun('inspect', run, ...wasm, '--text', 'peace', '--checkpoint', first!);
    expect((await runHere('inspect', run, ...wasm, '--text', '')).messages).toContain('the text is empty');
  });
});
