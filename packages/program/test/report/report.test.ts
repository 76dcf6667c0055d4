// The report: self-contained, escaped, complete, and readable with little or odd data.
import { describe, expect, it } from 'vitest';
import type { MetricsRow, StepRow } from '@xmoe/train';
import { createReportData, renderReport, type ReportInput } from '../../src/report/index.js';
import { cumulativePoints, pointsOf, smoothedPoints } from '../../src/report/series.js';

const stepRow = (step: number, loss = 5 - step / 100): StepRow => ({
  kind: 'step', step, loss, learningRate: 1e-3, gradientNorm: 1, tokens: 64, tokensPerSecond: 100, seconds: 0.5,
  expertsPerToken: [2, 1.5], dropRate: [0.1, 0], budgetedFlops: 2e9, executedFlops: 1e9,
});
const rows: MetricsRow[] = [
  ...Array.from({ length: 50 }, (_, i) => stepRow(i + 1)),
  { kind: 'evaluation', step: 50, split: 'validation', loss: 4.6, perplexity: 99.5 },
  { kind: 'routing', step: 50, load: [[0.25, 0.25, 0.25, 0.25], [0.5, 0.5, 0, 0]], tokensByCount: [[0, 30, 10], [0, 0, 20, 20]], layers: ['encoder 2', 'encoder 4'] },
];
const input: ReportInput = {
  title: 'tiny', rows, createdAt: '2026-01-02T03:04:05.678Z',
  summary: { testPerplexity: 72.4, unigramPerplexity: 612, bigramPerplexity: 141, steps: 1200, dropRate: [0.1, 0.3], backend: 'cpu' },
  configuration: { model: { layers: 2, sizes: [1, 2] }, name: 'tiny' },
  samples: [{ title: 'Sample', prompt: 'Once', text: ' upon a time' }],
};
const render = (part: Partial<ReportInput> = {}) => renderReport(createReportData({ ...input, ...part }));
const sectionIds = (html: string) => [...html.matchAll(/<section id="([^"]+)"/g)].map((match) => match[1]);

describe('renderReport', () => {
  it('holds every chart, table and text, each chart broad and narrow', async () => {
    const html = await render();
    expect(sectionIds(html)).toEqual(['perplexity', 'loss', 'learning-rate', 'gradient-norm', 'experts-per-token', 'drop-rate',
      'experts-per-token-spread', 'expert-load', 'flops', 'wall-clock', 'routing', 'samples', 'configuration']);
    expect(html.match(/<svg /g)).toHaveLength(18);
    expect(html).toMatch(/<div class="scroll" tabindex="0" role="region" aria-label="Table: [^"]*experts per token/); // keys scroll it
    for (const text of ['72.40', '1,200', '20.0%', '2026-01-02 03:04:05 UTC', 'encoder 4', '4.0 of 4', '2.0 of 4', 'upon a time',
      'model.sizes', '[1,2]', 'unigram model', '50.0% of the 100GFLOP budgeted, in 25s']) expect(html).toContain(text);
  });

  it('names every figure in itself, for who does not see it', async () => {
    const html = await render({ title: 'a' });
    for (const [svg] of html.matchAll(/<svg [^]*?<\/svg>/g)) {
      const [, title, text] = /^<svg role="img" aria-labelledby="(\S+) (\S+)"/.exec(svg)!;
      expect(svg).toMatch(new RegExp(`<title id="${title}">[^<]+</title><desc id="${text}">[^<]+</desc>`));
    }
    expect(html).toContain('Tokens by number of experts</title><desc');
    expect(html).toMatch(/experts-per-token-spread[^]*?75%[^]*?25%[^]*?50%/); // of the first layer's tokens one expert, two; of the second's two and three
  });

  it('shows what was changed on the way, in order, and nothing of it where nothing was', async () => {
    expect(sectionIds(await render())).not.toContain('changes');
    const html = await render({ changes: [
      { step: 1200, changed: { 'train.learningRate': ['0.006', '0.001'], 'train.steps': ['40', '100'] } },
      { step: 1300, changed: { 'train.learningRate': ['0.001', '0.0005'] } },
    ] });
    expect(sectionIds(html).slice(-2)).toEqual(['changes', 'configuration']);
    const rows = [...html.slice(html.indexOf('<section id="changes"')).matchAll(/<tr><td[^>]*>([^<]*)<\/td><td>([^<]*)<\/td><td>([^<]*)<\/td><td>([^<]*)<\/td><\/tr>/g)].map(([, ...cells]) => cells);
    expect(rows).toEqual([['1,200', 'train.learningRate', '0.006', '0.001'], ['1,200', 'train.steps', '40', '100'], ['1,300', 'train.learningRate', '0.001', '0.0005']]);
  });

  it('says why more can be computed than tokens have a budget for', async () => {
    const why = 'Capacity counts the padding of a batch too';
    expect(await render()).not.toContain(why);
    const more = rows.map((row) => ('executedFlops' in row ? { ...row, executedFlops: 3e9 } : row));
    expect(await render({ rows: more })).toContain(`150.0% of the 100GFLOP budgeted, in 25s of training steps. ${why}`);
  });

  it('loads nothing and runs nothing', async () => {
    const html = await render();
    expect(html).not.toMatch(/<script|<link|<img|<iframe|@import|\ssrc=|\son\w+=/i);
    expect(html).not.toMatch(/https?:\/\//);
    for (const [, reference] of html.matchAll(/url\(([^)]*)\)/g)) {
      expect(reference).toMatch(/^#/);
      expect(html).toContain(`id="${reference!.slice(1)}"`);
    }
  });

  it('gives no id twice, or one chart would clip another', async () => {
    const ids = [...(await render()).matchAll(/\bid="([^"]+)"/g)].map((match) => match[1]);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('S5: escapes all text of the run', async () => {
    const evil = `<img src=x onerror="alert(1)">&'`;
    const html = await render({
      title: evil,
      headline: [{ label: evil, value: evil, note: evil }],
      summary: { backend: evil },
      configuration: { [evil]: evil },
      samples: [{ title: evil, prompt: evil, text: evil }],
      changes: [{ step: 1, changed: { [evil]: [evil, evil] } }],
      rows: [...rows, { kind: 'evaluation', step: 50, split: evil, loss: 1 },
        { kind: 'routing', step: 50, load: [[1], [1]], layers: [evil, `${evil}2`] }],
    });
    expect(html).not.toContain('<img');
    expect(html.split('&lt;img').length).toBeGreaterThan(18);
  });

  it('takes a page of its own colours, so that light and dark both work', async () => {
    const html = await render();
    const drawings = [...html.matchAll(/<svg .*?<\/svg>/gs)].map((match) => match[0]).join('');
    expect(drawings).not.toMatch(/(?:fill|stroke)="(?:#|rgb|black|white)/);
    expect(html).toContain('@media (prefers-color-scheme: dark)');
    const used = new Set([...html.matchAll(/var\((--[\w-]+)\)/g)].map((match) => match[1]!));
    for (const name of used) expect(html.split(`${name}:`).length - 1, name).toBe(2); // once for light, once for dark
  });

  it('is fine with an empty run, a dense model and a diverged loss', async () => {
    const empty = await render({ rows: [], summary: {}, configuration: {}, samples: [] });
    expect(sectionIds(empty)).toEqual([]);
    const dense = await render({ rows: [1, 2, 3].map((step) => ({ ...stepRow(step, step === 2 ? Number.NaN : 3), expertsPerToken: undefined,
      dropRate: undefined, budgetedFlops: undefined, executedFlops: undefined })) });
    expect(sectionIds(dense)).not.toContain('experts-per-token');
    expect(sectionIds(dense)).not.toContain('flops');
    expect(dense).not.toContain('NaN');
  });

  it('draws many layers and many experts', async () => {
    const layers = Array.from({ length: 12 }, (_, i) => i);
    const html = await render({ rows: [
      ...[1, 2, 3].map((step) => ({ ...stepRow(step), expertsPerToken: layers, dropRate: layers.map(() => 0) })),
      { kind: 'routing', step: 3, load: layers.map(() => new Array<number>(64).fill(1 / 64)) },
    ] });
    expect(html).toContain('layer 12');
    expect(html).toContain('64.0 of 64');
  });
});

describe('a translation run', () => {
  const translation: Partial<ReportInput> = {
    rows: [...rows, ...[10, 20].map((step): MetricsRow => ({ kind: 'evaluation', step, split: 'validation', loss: 3, scores: { bleu: step, chrf: 2 * step, other: 1 } }))],
    comparisons: [{ id: 'bleu', title: 'BLEU', caption: 'Higher is better.', entries: [{ name: 'copy', value: 8 }, { name: 'this <model>', value: 32, own: true }] }],
    translations: [{ source: 'שלום <b>', reference: 'hello', translation: 'hi & bye' }],
    routedText: [[
      { text: 'Haus', layers: [{ name: 'encoder.h.1', experts: [[3]] }, { name: 'encoder.h.3', experts: [[0, 2]] }] },
      { text: '<Tür>', layers: [{ name: 'encoder.h.1', experts: [[1, 4], [2]] }, { name: 'encoder.h.3', experts: [[5, 1, 0], [0]] }] },
    ]],
  };

  it('shows scores, systems side by side, translations, and the experts of every source word', async () => {
    const html = await render(translation);
    expect(sectionIds(html)).toEqual(expect.arrayContaining(['bleu', 'scores', 'translations', 'source-words']));
    for (const text of ['BLEU', 'chrF2++', 'other', 'this &lt;model&gt;', '>שלום &lt;b&gt;</td><td dir="auto" data-label="translation">hi &amp; bye</td><td dir="auto" data-label="reference">hello</td>']) expect(html).toContain(text);
    expect(html).toContain('width:25.00%');
    expect(html).toContain('title="encoder.h.1: 1 expert (3)\nencoder.h.3: 2 experts (0, 2)">Haus</span>');
    expect(html).toContain('title="encoder.h.1: 3 experts for 2 tokens (1, 4 | 2)\nencoder.h.3: 4 experts for 2 tokens (5, 1, 0 | 0)">&lt;Tür&gt;</span>');
    // Keys reach every word.
    expect(html.match(/<span tabindex="0"[^>]* title="encoder/g)).toHaveLength(2);
    expect(html).toMatch(/ 0%, transparent\)" title="[^"]*">Haus/);
    expect(html).toMatch(/ 60%, transparent\)" title="[^"]*">&lt;Tür/);
    expect(html).toContain('from 1.5 to 1.8 per token');
  });

  it('is not there in other runs, nor words without experts', async () => {
    const ids = sectionIds(await render({ routedText: [[{ text: 'a', layers: [] }]] }));
    for (const id of ['scores', 'translations', 'source-words']) expect(ids).not.toContain(id);
  });
});

describe('createReportData', () => {
  it('lets a row with FLOPs stand for the steps since the one before', () => {
    const sparse = Array.from({ length: 20 }, (_, i): StepRow => {
      const { budgetedFlops, executedFlops, ...row } = stepRow(i + 1);
      return (i + 1) % 10 === 0 ? { ...row, budgetedFlops, executedFlops } : row;
    });
    const { steps } = createReportData({ ...input, rows: sparse });
    expect(steps.reduce((sum, row) => sum + row.executedFlops!, 0)).toBe(20 * 1e9);
  });
});

describe('series', () => {
  const long = Array.from({ length: 10_000 }, (_, i) => stepRow(i + 1, i));
  it('are thinned without a change of their mean or, for totals, of their end', () => {
    const points = pointsOf(long, 'loss', (row) => row.loss);
    expect(points.length).toBeLessThanOrEqual(300);
    expect(points.reduce((sum, point) => sum + point.value, 0) / points.length).toBeCloseTo(4999.5, -2);
    const totals = cumulativePoints(long, 'seconds', (row) => row.seconds);
    expect(totals.length).toBeLessThanOrEqual(301);
    expect(totals.at(-1)).toEqual({ step: 10_000, value: 5000, series: 'seconds' });
  });

  it('are smoothed without delay', () => {
    const smooth = smoothedPoints(long, 'loss', (row) => row.loss);
    for (const { step, value } of smooth.slice(50, -50)) expect(Math.abs(value - step)).toBeLessThan(60);
  });
});
