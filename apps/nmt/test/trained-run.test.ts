// One run, trained once, that learns a small language: its scores and files, and the commands that use it.
import { cpSync, existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { trainBpe, tokenizerToJson } from '@xmoe/text';
import { PADDING, BEGIN_OF_SENTENCE } from '@xmoe/text';
import { translationComparison } from '../src/experiments/comparison.js';
import { beforeAll, describe, expect, it } from 'vitest';
import { checkpointsOf, feed, metricsOf, mustRun, runHere, smallPairs, startProcess, temporaryFolder, waitUntil, writePairs } from './support.js';

const path = temporaryFolder();
const run = path('run');
const cpu = ['--backend', 'cpu:wasm'];
const pairs = smallPairs(1500);
let closing = '';
beforeAll(async () => {
  const flags = {
    width: 32, heads: 2, hidden: 64, 'expert-hidden': 32, experts: 4, 'capacity-factor': 2, dropout: 0, 'vocabulary-size': 340, 'validation-pairs': 30, 'test-pairs': 40, 'near-duplicate': 1,
    'batch-tokens': 1024, 'max-steps': 200, schedule: 'inverse-square-root', 'learning-rate': 0.01, 'warmup-steps': 20, 'length-penalty': 1, 'eval-every': 50, 'checkpoint-every': 50, 'keep-checkpoints': 3, 'average-checkpoints': 2,
    'eval-pairs': 20, 'label-smoothing': 0, side: 'both', beam: 2,
  };
  const { output } = await mustRun('train', ...cpu, ...Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)]), '--set', 'decoding.threshold=0.6',
    '--data', writePairs(path('pairs.tsv'), pairs), '--data-root', path('data'), '--out', run);
  closing = output;
}, 120_000);
const summary = () => JSON.parse(readFileSync(join(run, 'summary.json'), 'utf8'));
const translate = async (input: string, ...flags: string[]) => feed(input, 'translate', run, ...cpu, ...flags);
/** A sentence of the language that is in no split, and its translation. */
const [freshSource, freshTarget] = smallPairs(1600).at(-1)!;

describe('the run', () => {
  it('learns the language: far above copying and the dictionary, which cannot change the order', () => {
    const { bleu, chrf, baselines, testPairs, steps, languages } = summary();
    expect({ testPairs, steps, languages }).toEqual({ testPairs: 40, steps: 200, languages: 'de-en' });
    expect(baselines.map(({ name }: { name: string }) => name)).toEqual(['copy of the source', 'word-by-word dictionary']);
    for (const baseline of baselines) {
      expect(bleu).toBeGreaterThan(baseline.bleu + 20);
      expect(chrf).toBeGreaterThan(baseline.chrf + 10);
    }
    expect(closing).toMatch(/word-by-word dictionary +\d+\.\d\d +\d+\.\d\d\n +this model \(threshold\) +\d+\.\d\d +\d+\.\d\d\n/);
    expect(closing.match(/^ {2}→ /gm)).toHaveLength(10);
  });

  it('validates with loss, BLEU and chrF2++, and keeps the best and the average', () => {
    const evaluations = metricsOf(run).filter(({ kind }) => kind === 'evaluation');
    expect(evaluations.map(({ step }) => step)).toEqual([50, 100, 150, 200]);
    expect(evaluations.at(-1)!.scores!.bleu!).toBeGreaterThan(evaluations[0]!.scores!.bleu!);
    expect(evaluations.at(-1)!.loss!).toBeLessThan(evaluations[0]!.loss!);
    const best = JSON.parse(readFileSync(join(run, 'checkpoints', 'best.json'), 'utf8'));
    expect(best.metric).toBeCloseTo(-Math.max(...evaluations.map(({ scores }) => scores!.chrf!)), 9);
    expect(existsSync(join(run, 'checkpoints', 'average', 'manifest.json'))).toBe(true);
    expect([...checkpointsOf(run), 'average']).toContain(summary().checkpoint);
  });

  it('reports translations beside references, scores over steps, and the experts of source words', () => {
    const page = readFileSync(join(run, 'report.html'), 'utf8');
    for (const id of ['bleu', 'chrf', 'loss', 'scores', 'translations', 'source-words', 'expert-load', 'configuration']) expect(page, id).toContain(`<section id="${id}"`);
    expect(page).toMatch(/title="encoder\.h\.1: \d experts?/);
    const { source, reference, translation } = summary().samples[3];
    for (const text of [source, reference, translation]) expect(page).toContain(text);
    expect(Object.keys(summary().expertsPerToken)).toEqual(['encoder.h.1', 'decoder.h.1']);
  });
});

describe('compare', () => {
  it('tells of a run what its summary says, of test pairs known by their texts', async () => {
    const { groups, scored } = JSON.parse((await mustRun('compare', run, '--out', path('compared'), '--json')).output);
    expect(scored).toBe(`40 pairs (${summary().bleuSignature})`);
    expect(groups[0]).toMatchObject({ quality: { mean: summary().bleu }, figures: { chrf: { mean: summary().chrf } } });
    expect(groups[0].routing.map(({ layer }: { layer: string }) => layer)).toEqual(['encoder.h.1', 'decoder.h.1']);
    const { data } = JSON.parse(readFileSync(join(run, 'config.json'), 'utf8'));
    const { test, all } = await translationComparison.identify(data);
    expect(test).not.toBe(all);
    const prepared = await mustRun('prepare', '--data', path('pairs.tsv'), '--data-root', path('data'), '--vocabulary-size', '330', '--validation-pairs', '30', '--test-pairs', '40', '--near-duplicate', '1');
    const other = await translationComparison.identify(/^made {2}\w+: (.*)$/m.exec(prepared.output.slice(prepared.output.lastIndexOf('made ')))![1]!);
    expect([other.test, other.all === all]).toEqual([test, false]); // another vocabulary, the same pairs
  });
});

describe('the threshold', () => {
  it('is lower when translating than in training: fewer experts per token', () => {
    const inTraining = metricsOf(run).flatMap((row) => (row as { expertsPerToken?: number[] }).expertsPerToken ?? []).slice(-2);
    expect(summary().threshold).toBe(0.6);
    Object.values(summary().expertsPerToken as Record<string, number>).forEach((experts, layer) => expect(experts).toBeLessThan(inTraining[layer]!));
  });
});

describe('translate', () => {
  it('keeps lines in order and empty ones empty', async () => {
    const sources = pairs.slice(0, 5).map(([source]) => source);
    const { code, output, messages } = await translate(`${sources[0]}\n\n${sources[1]}\r\n   \n${sources.slice(2).join('\n')}`);
    expect({ code, messages }).toEqual({ code: 0, messages: '' });
    const lines = output.split('\n');
    expect(lines).toHaveLength(8);
    expect([lines[1], lines[3], lines[7]]).toEqual(['', '', '']);
    for (const [index, source] of [[0, 0], [2, 1], [4, 2]] as const) expect((await translate(sources[source]!)).output).toBe(`${lines[index]}\n`);
    expect((await translate('')).output).toBe('');
  });

  it('understands a sentence that it has not seen', async () => {
    const { output } = await translate(`${freshSource}\n`);
    const words = new Set(output.trim().split(' '));
    expect(freshTarget.split(' ').filter((word) => words.has(word)).length).toBeGreaterThanOrEqual(4);
  });

  it('splits a long line at sentence ends, and refuses a sentence that is too long by its line', async () => {
    const long = pairs.slice(0, 40).map(([source]) => source);
    const together = await translate(`${long.join(' ')}\n`);
    expect(together.output.split('\n')).toHaveLength(2);
    expect(together.output.match(/\./g)!.length).toBeGreaterThan(4);
    const refused = await translate(`${long[0]}\n${'Haus Tür '.repeat(2000)}\n`);
    expect(refused).toMatchObject({ code: 65, messages: expect.stringMatching(/^error: line 2 has a sentence of \d+ tokens, and the model takes 2048\n/) });
    expect(refused.output.split('\n')).toHaveLength(2); // the line before it
  });

  it('gives n-best with scores, and samples that repeat with their seed', async () => {
    const { output } = await translate(`${pairs[0]![0]}\n`, '--n-best', '3', '--beam', '3');
    const scores = output.trimEnd().split('\n').map((line) => /^1 \|\|\| .* \|\|\| (-?\d+\.\d{4})$/.exec(line)![1]).map(Number);
    expect(scores).toHaveLength(3);
    expect([...scores].sort((a, b) => b - a)).toEqual(scores);
    const input = pairs.slice(0, 8).map(([source]) => `${source}\n`).join('');
    const sample = async (seed: string) => (await translate(input, '--sample', '--temperature', '2', '--seed', seed)).output;
    expect(await sample('3')).toBe(await sample('3'));
    expect(await sample('3')).not.toBe(await sample('4'));
    expect((await translate(input, '--sample', '--temperature', '-1')).messages).toContain('the temperature is -1');
    const drawn = (await translate(input, '--sample', '--temperature', '2', '--seed', '3', '--n-best', '3')).output.trimEnd().split('\n');
    expect(drawn).toHaveLength(24);
    expect(drawn.filter((_, row) => row % 3 === 0).map((row) => `${row.split(' ||| ')[1]}\n`).join('')).toBe(await sample('3'));
  });

  it('refuses more hypotheses than the beam keeps', async () => {
    expect(await translate('Haus\n', '--n-best', '3')).toMatchObject({
      output: '', messages: expect.stringMatching(/^error: --n-best 3 is more than the beam of 2.*\n {2}add --beam 3/), code: expect.toSatisfy((code: number) => code > 0),
    });
  });

  it('samples a line by its number, whatever the other lines are and however the pipe is cut', async () => {
    const flags = ['--sample', '--temperature', '2', '--seed', '3'];
    const sources = pairs.slice(0, 6).map(([source]) => source);
    const together = (await translate(`${sources.join('\n')}\n`, ...flags)).output.split('\n');
    const others = sources.map((source, index) => (index % 2 === 0 ? source : index === 1 ? '' : `${sources.slice(0, 5).join(' ')} ${sources.join(' ')} ${sources.join(' ')}`));
    const beside = (await translate(`${others.join('\n')}\n`, ...flags)).output.split('\n');
    for (const index of [0, 2, 4]) expect(beside[index]).toBe(together[index]);
    const slow = startProcess('translate', run, ...cpu, ...flags);
    for (const [index, source] of sources.entries()) {
      slow.child.stdin!.write(`${source}\n`);
      await waitUntil(slow, () => slow.output.split('\n').length === index + 2);
    }
    slow.child.stdin!.end();
    expect((await slow.ended).output.split('\n')).toEqual(together);
  });

  it('names a line that is not UTF-8, after the lines before it', async () => {
    const input = Buffer.concat([Buffer.from(`${pairs[0]![0]}\n`), Buffer.from([0x48, 0xe4, 0x75, 10])]);
    const { code, output, messages } = await feed(input, 'translate', run, ...cpu);
    expect(code).toBe(65);
    expect(output.split('\n')).toHaveLength(2);
    expect(messages).toMatch(/^error: line 2 of the input is not UTF-8\n/);
  });

  it('answers each line while the input is still open, and ends with it', async () => {
    const running = startProcess('translate', run, ...cpu);
    for (const count of [1, 2]) {
      running.child.stdin!.write(`${pairs[count]![0]}\n`);
      await waitUntil(running, () => running.output.split('\n').length === count + 1);
      await sleep(20);
      expect(running.output.split('\n')).toHaveLength(count + 1);
    }
    running.child.stdin!.end();
    expect(await running.ended).toMatchObject({ code: 0, messages: '' });
    const refused = startProcess('translate', run, ...cpu); // an error ends it although the input stays open
    refused.child.stdin!.write(Buffer.from([0xff, 10]));
    expect((await refused.ended).code).toBe(65);
  });

  it('needs the checkpoint only, and refuses a tokenizer that is not its own', async () => {
    const moved = path('moved');
    cpSync(run, moved, { recursive: true });
    const record = JSON.parse(readFileSync(path('moved', 'config.json'), 'utf8')) as { data: string };
    renameSync(record.data, `${record.data}-away`);
    try {
      expect((await feed(`${pairs[0]![0]}\n`, 'translate', moved, ...cpu)).output).toMatch(/^\w/);
      expect((await runHere('eval', moved, ...cpu)).messages).toContain('is not a directory of prepared pairs');
    } finally {
      renameSync(`${record.data}-away`, record.data);
    }
    const other = path('tokenizer.json');
    writeFileSync(other, tokenizerToJson(trainBpe(['another text'], { vocabularySize: 300, specialTokens: [PADDING, BEGIN_OF_SENTENCE] })));
    expect(await translate('Haus\n', '--tokenizer', other)).toMatchObject({ code: 65, output: '', messages: expect.stringMatching(/^error: the tokenizer is not the one that .* was trained with/) });
  });
});

describe('eval', () => {
  const evaluate = async (...flags: string[]) => JSON.parse((await mustRun('eval', ...flags, '--json')).output);

  it('repeats what training reported, to the bit', async () => {
    const result = await evaluate(run, ...cpu);
    expect(result.bleu).toMatchObject({ score: summary().bleu, signature: summary().bleuSignature });
    expect(result.chrf).toMatchObject({ score: summary().chrf, signature: summary().chrfSignature });
    expect(result).toMatchObject({ pairs: 40, against: null });
    expect(result.bleu.signature).toBe('nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0');
    expect(result.chrf.signature).toBe('nrefs:1|case:mixed|eff:yes|nc:6|nw:2|space:no|version:2.6.0');
  });

  it('scores what translate delivers, long lines too', async () => {
    const [file, saved] = [path('lines.tsv'), path('lines.out')];
    const sources = [pairs.slice(0, 40).map(([source]) => source).join(' '), pairs[1]![0].replaceAll(' ', '\u00a0'), pairs[2]![0].normalize('NFD')];
    writeFileSync(file, sources.map((source, index) => `${source}\t${pairs[index]![1]}\n`).join(''));
    await evaluate(run, ...cpu, '--pairs', file, '--save', saved);
    expect(readFileSync(saved, 'utf8')).toBe((await translate(`${sources.join('\n')}\n`)).output);
    expect(readFileSync(saved, 'utf8').split('\n')[0]!.match(/\./g)!.length).toBeGreaterThan(4);
  });

  it('says that translations are identical', async () => {
    const { output } = await mustRun('eval', run, ...cpu, '--against', run, '--max-pairs', '5', '--samples', '10');
    expect(output.match(/, the translations are identical {2}nrefs/g)).toHaveLength(2);
    expect(output).not.toContain('p = ');
    const { against } = await evaluate(run, ...cpu, '--against', run, '--max-pairs', '5', '--samples', '10');
    expect(against.map(({ own }: { own: { pValue: number | null } }) => own.pValue)).toEqual([null, null]);
  });

  it('has its own threshold, and the other run keeps its', async () => {
    const compared = await evaluate(run, ...cpu, '--threshold', '0', '--against', run, '--samples', '2');
    expect(compared.chrf.score).not.toBe(summary().chrf);
    expect(compared.against.map(({ other }: { other: { score: number } }) => other.score)).toEqual([summary().bleu, summary().chrf]);
  });

  it('scores other pairs by kind, and files; and compares runs and files by paired bootstrap', async () => {
    const other = path('other.tsv');
    writeFileSync(other, smallPairs(1560).slice(-20).map(([source, target], index) => `${source}\t${target}\t${index < 8 ? 'a' : 'b'}\n`).join(''));
    const [hypotheses, references] = [path('hyp.txt'), path('ref.txt')];
    const scored = await evaluate(run, ...cpu, '--pairs', other, '--save', hypotheses);
    expect(scored.byKind.map(({ kind, pairs: count }: { kind: string; pairs: number }) => [kind, count])).toEqual([['a', 8], ['b', 12]]);
    writeFileSync(references, smallPairs(1560).slice(-20).map(([, target]) => `${target}\n`).join(''));
    const ofFile = await evaluate('--hypotheses', hypotheses, '--references', references);
    expect(ofFile.bleu.score).toBe(scored.bleu.score);
    const first = checkpointsOf(run)[0]!;
    const compared = await evaluate(run, ...cpu, '--pairs', other, '--checkpoint', first, '--against', run, '--samples', '50');
    expect(compared.against.map(({ metric, other: baseline }: { metric: string; other: { score: number } }) => [metric, baseline.score])).toEqual([['BLEU', scored.bleu.score], ['chrF2++', scored.chrf.score]]);
    const { output } = await mustRun('eval', '--hypotheses', hypotheses, '--references', references, '--against', references);
    expect(output).toMatch(/BLEU +\d+\.\d\d \(\d+\.\d\d ± \d+\.\d\d\) and 100\.00 \(100\.00 ± 0\.00\), p = 0\.\d{4} +nrefs:1\|bs:1000\|seed:12345/);
  });

  it.each([
    [['--split', 'train'], "argument 'train' is invalid. It is one of validation, test."],
    [['--tokenize', '13b'], 'BLEU has no tokenizer "13b", did you mean 13a?'],
    [['--hypotheses', 'x'], 'eval needs a run or --hypotheses, and not both'],
    [['--against', 'nowhere'], 'nowhere holds no run'],
    [['--checkpoint', 'nowhere'], 'nowhere'],
    [['--pairs', 'no-such-file.tsv'], 'no-such-file.tsv'],
    [['--beam', '0'], 'expected a whole number from 1'],
  ])('refuses %j', async (flags, message) => {
    const refused = await runHere('eval', run, ...cpu, '--max-pairs', '2', ...flags);
    expect(refused.code).toBeGreaterThan(0);
    expect(refused).toMatchObject({ output: '', messages: expect.stringContaining(message) });
  });

  it('names files that do not match up, and a language without a tokenizer', async () => {
    const [one, two] = [path('one.txt'), path('two.txt')];
    writeFileSync(one, 'a\nb\n');
    writeFileSync(two, 'a\n');
    expect(await runHere('eval', '--hypotheses', one, '--references', two)).toMatchObject({ code: 65, output: '', messages: expect.stringMatching(/^error: .*one\.txt has 2 lines and .*two\.txt has 1/) });
    expect((await runHere('eval', '--hypotheses', one, '--references', one, '--language', 'xx')).messages).toContain('no tokenizer is known for the language code "xx"');
    expect((await runHere('eval', '--hypotheses', one)).messages).toContain('--hypotheses and --references belong together');
    expect((await runHere('eval')).messages).toContain('eval needs a run or --hypotheses');
  });
});

describe('inspect', () => {
  it('shows a sentence, its translation, and the experts of every token on both sides', async () => {
    const html = path('page.html');
    const { output } = await mustRun('inspect', run, ...cpu, '--text', freshSource, '--html', html);
    expect(output).toContain(freshSource);
    expect(output).toMatch(/encoder\.h\.1 +\d\.\d\d experts per token/);
    expect(output).toMatch(/decoder\.h\.1 +\d\.\d\d experts per token/);
    expect(readFileSync(html, 'utf8').match(/<h2>/g)).toHaveLength(2);
    expect((await mustRun('inspect', run, ...cpu)).output).toContain(join(run, 'inspect.html'));
    expect((await runHere('inspect', run, ...cpu, '--text', ' ')).messages).toContain('the text is empty');
    expect((await runHere('inspect', run, ...cpu, '--text', pairs.slice(0, 30).map(([source]) => source).join(' '))).messages).toMatch(/the text is translated in \d parts/);
  });
});
