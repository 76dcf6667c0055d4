// Preparing parallel text: held-out pairs without near-duplicates in training, given sets kept to the character, shards that
// give the texts back, stages that are redone only when their inputs change, and nothing half-written.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { BEGIN_OF_SENTENCE, END_OF_SENTENCE, PADDING, translationTokensOf } from '../../src/parallel/special-tokens.js';
import { createNearDuplicateIndex } from '../../src/parallel/near-duplicates.js';
import { openParallelDataset } from '../../src/parallel/open-parallel-dataset.js';
import { prepareParallel, type PrepareParallelOptions } from '../../src/parallel/prepare-parallel.js';
import { readPairs } from '../../src/parallel/read-pairs.js';
import type { ParallelDataset } from '../../src/parallel/parallel-batch.js';
import type { TextPair } from '../../src/parallel/pairs.js';
import { createGpt2Tokenizer } from '../../src/tokenizers/gpt2.js';
import { trainBpe } from '../../src/tokenizers/train-bpe.js';
import { collect, temporaryFolder } from '../data/temporary.js';
import { corpusOf, languages, manyPairs } from './support.js';

const { path } = temporaryFolder();
let folders = 0;
const freshRoot = () => path(`root-${folders++}`);

const optionsOf = (more: Partial<PrepareParallelOptions> = {}): PrepareParallelOptions => ({
  root: freshRoot(),
  languages,
  train: [corpusOf(manyPairs(400))],
  heldOut: { validation: 15, test: 25 },
  nearDuplicate: 0.9,
  vocabulary: { size: 500 },
  ...more,
});

async function opened<Result>(options: PrepareParallelOptions, use: (dataset: ParallelDataset, result: Awaited<ReturnType<typeof prepareParallel>>) => Result) {
  const result = await prepareParallel(options);
  const dataset = await openParallelDataset(result.directory, { verify: 'sha256' });
  try {
    return use(dataset, result);
  } finally {
    dataset.close();
  }
}
const textsOf = (dataset: ParallelDataset, split: 'train' | 'validation' | 'test') =>
  Array.from({ length: dataset.split(split).pairs }, (_, i) => dataset.text(split, i));
const stagesOf = ({ stages }: Awaited<ReturnType<typeof prepareParallel>>) => stages.map(({ name, reused }) => `${name}${reused ? '' : ' made'}`);

describe('the splits', () => {
  it('hold all pairs once, those held out by kind, and nothing nearly the same in training', async () => {
    const repeated = manyPairs(400).flatMap((pair, i) => (i % 20 === 0 ? [pair, { ...pair, source: `${pair.source.slice(0, -1)}!`, target: pair.target.toUpperCase() }] : [pair]));
    await opened(optionsOf({ train: [corpusOf(repeated)] }), (dataset, { report }) => {
      const { train, validation, test } = report.splits;
      expect([validation.pairs, test.pairs, validation.from]).toEqual([15, 25, 'held out']);
      expect(validation.byKind).toEqual({ a: 10, b: 5 });
      expect(test.byKind).toEqual({ a: 17, b: 8 });
      expect(train.pairs + validation.pairs + test.pairs + report.leaks.equal + report.leaks.near).toBe(repeated.length);
      expect(report.leaks.equal).toBeGreaterThan(0);
      expect(report.leaks.examples.equal.length).toBeGreaterThan(0);
      const [sources, targets] = [createNearDuplicateIndex(0.9), createNearDuplicateIndex(0.9)];
      for (const { source, target } of textsOf(dataset, 'train')) {
        sources.add(source);
        targets.add(target);
      }
      for (const { source, target } of [...textsOf(dataset, 'test'), ...textsOf(dataset, 'validation')]) {
        expect([sources.find(source), targets.find(target)], source).toEqual([undefined, undefined]);
      }
      const all = [...textsOf(dataset, 'test'), ...textsOf(dataset, 'validation')];
      expect(new Set(all.map(({ source }) => source)).size).toBe(40);
    });
  });

  it('do not depend on the order of the pairs, but on the salt', async () => {
    const heldOut = (pairs: ReturnType<typeof manyPairs>, splitSalt = '') =>
      opened(optionsOf({ train: [corpusOf(pairs)], splitSalt }), (dataset) => textsOf(dataset, 'test').map(({ source }) => source).sort());
    const chosen = await heldOut(manyPairs(400));
    expect(await heldOut(manyPairs(400).reverse())).toEqual(chosen);
    expect(await heldOut(manyPairs(400), 'other')).not.toEqual(chosen);
    const grown = await heldOut(manyPairs(420)); // most of the choice stays when the corpus grows
    expect(chosen.filter((source) => grown.includes(source)).length).toBeGreaterThan(18);
  });

  it('may be given: references kept to the character, sources in the form that translating gives them, and both kept out of training', async () => {
    const given = [{ source: ' „Wort1\u00a0Katze“ ', target: 'Word1  cat \u200b' }, { source: 'Etwas ganz anderes', target: manyPairs(9)[8].target.toLowerCase() }];
    const excluded = manyPairs(12).slice(11);
    await opened(optionsOf({ test: corpusOf(given, 'given'), exclude: [corpusOf(excluded, 'excluded')] }), (dataset, { report }) => {
      expect(textsOf(dataset, 'test')).toEqual([{ source: '„Wort1 Katze“', target: given[0]!.target }, given[1]]);
      expect(report.splits.test).toMatchObject({ from: 'given', pairs: 2, byKind: { '': 2 } });
      expect(report.splits.validation.pairs).toBe(15);
      const rest = ['train', 'validation'] as const;
      const targets = rest.flatMap((split) => textsOf(dataset, split).map(({ target }) => target));
      expect(targets).not.toContain(manyPairs(9)[8].target);
      expect(targets).not.toContain(excluded[0].target);
      expect(report.leaks.equal).toBeLessThanOrEqual(2);
    });
  });
});

const leaky: [string, (text: string) => string][] = [
  ['soft hyphens', (text) => text.replace(/(\w\w)(?=\w)/g, '$1\u00ad')],
  ['zero-width spaces', (text) => text.replace(/(\w\w)(?=\w)/g, '$1\u200b')],
  ['word joiners', (text) => `\u2060${text.slice(0, 3)}\u2060${text.slice(3)}`],
  ['direction marks', (text) => `\u200e${text.slice(0, 4)}\u200f${text.slice(4)}\u061c`],
  ['joiners, selectors and a byte order mark', (text) => `\ufeff${text.slice(0, 5)}\u200d\ufe0f\u034f${text.slice(5)}`],
  ['decomposed letters', (text) => text.normalize('NFD')],
  ['capitals', (text) => text.toUpperCase()],
];

describe('leaks from given sets', () => {
  it.each(leaky)('%s hide none', async (_, disguise) => {
    const own = manyPairs(60).slice(20, 30);
    // Equal texts only, and targets of their own: nothing else would notice a source that is there again.
    const leaksOf = async (change: (text: string) => string) => {
      const test = corpusOf(own.map(({ source }, i) => ({ source: change(source), target: 'abcdefghij'[i]!.repeat(9) })), 'given');
      return (await prepareParallel(optionsOf({ train: [corpusOf(manyPairs(60))], test, nearDuplicate: 1, heldOut: { validation: 0, test: 0 } }))).report.leaks.equal;
    };
    const plain = await leaksOf((text) => text);
    expect(plain).toBeGreaterThanOrEqual(10);
    expect(await leaksOf(disguise)).toBe(plain);
  });
});

describe('the shards', () => {
  it('give back what was cleaned, with lengths, kinds and the tokens between', async () => {
    const pairs = manyPairs(60).map((pair) => ({ ...pair, source: `  ${pair.source} 😀` }));
    await opened(optionsOf({ train: [corpusOf(pairs)], heldOut: { validation: 0, test: 0 } }), (dataset, { report }) => {
      const train = dataset.split('train');
      expect(textsOf(dataset, 'train')).toEqual(pairs.map(({ source, target }) => ({ source: source.trim(), target })));
      expect(Array.from(train.kindOf, (kind) => train.kinds[kind])).toEqual(pairs.map(({ kind }) => kind));
      for (let i = 0; i < train.pairs; i++) {
        const { source, target } = train.read(i);
        expect([source.length, target.length]).toEqual([train.sourceLengths[i], train.targetLengths[i]]);
        expect([source.at(-1), target.at(-1)]).toEqual([dataset.tokens.endOfSentence, dataset.tokens.endOfSentence]);
        expect([...source.slice(0, -1), ...target.slice(0, -1)]).not.toContain(dataset.tokens.endOfSentence);
      }
      expect(train.sourceTokens).toBe(train.sourceLengths.reduce((sum, length) => sum + length, 0));
      expect(report.tokens.train).toEqual({ source: train.sourceTokens, target: train.targetTokens });
      expect(dataset.split('test').pairs).toBe(0);
      expect(() => train.read(60)).toThrow('there is no pair 60');
      expect(() => train.read(-1)).toThrow('there is no pair -1');
    });
  });

  it('have a joint vocabulary with three special tokens that text cannot write', async () => {
    const pairs = [...manyPairs(50), { source: `Ein ${PADDING} und ${END_OF_SENTENCE} im Text`, target: `A ${BEGIN_OF_SENTENCE} in a text`, kind: 'a' }];
    await opened(optionsOf({ train: [corpusOf(pairs)], heldOut: { validation: 0, test: 0 } }), ({ tokenizer, tokens, split, text }) => {
      expect([...tokenizer.specialTokens.keys()]).toEqual([END_OF_SENTENCE, PADDING, BEGIN_OF_SENTENCE]);
      expect(new Set(Object.values(tokens)).size).toBe(3);
      expect(text('train', 50)).toEqual({ source: pairs[50].source, target: pairs[50].target });
      const { source } = split('train').read(50);
      expect(Array.from(source.slice(0, -1)).some((id) => Object.values(tokens).includes(id))).toBe(false);
      // learned from both sides
      for (const word of [' Straße', ' street']) expect(tokenizer.encode(word).length).toBeLessThan(word.length);
    });
  });

  it('leave out what has too many tokens, in training only', async () => {
    const long = { source: 'Sehr lang '.repeat(30), target: 'Very long '.repeat(30), kind: 'a' };
    await opened(optionsOf({ train: [corpusOf([...manyPairs(50), long])], test: corpusOf([long], 'test'), heldOut: { validation: 0, test: 0 }, nearDuplicate: 1, maximumTokens: 60, cleaning: { removeDuplicates: false } }), (dataset, { report }) => {
      expect(report.leaks.equal).toBe(1); // a pair of the test set does not get into training at all
      expect(report.tooLong).toBe(0);
      expect(dataset.split('test').pairs).toBe(1);
    });
    await opened(optionsOf({ train: [corpusOf([...manyPairs(50), long])], heldOut: { validation: 0, test: 0 }, maximumTokens: 60 }), (dataset, { report }) => {
      expect(report.tooLong).toBe(1);
      expect(dataset.split('train').pairs).toBe(50);
      expect(Math.max(...dataset.split('train').sourceLengths)).toBeLessThanOrEqual(60);
    });
  });

  it('take a given tokenizer', async () => {
    const tokenizer = trainBpe(manyPairs(20).map(({ source }) => source), { vocabularySize: 300, specialTokens: [PADDING, BEGIN_OF_SENTENCE] });
    const result = await prepareParallel(optionsOf({ vocabulary: tokenizer }));
    expect(stagesOf(result)).toEqual(['pairs made', 'shards made']);
    expect(result.report.vocabularySize).toBe(300);
    expect(translationTokensOf(tokenizer)).toEqual({ endOfSentence: 297, padding: 298, beginOfSentence: 299 });
    await expect(prepareParallel(optionsOf({ vocabulary: createGpt2Tokenizer() }))).rejects.toThrow(`the tokenizer has no special token ${PADDING}`);
  });

  it('report what the filters did, and count malformed rows', async () => {
    const file = path('rows.tsv');
    writeFileSync(file, [...manyPairs(50).map(({ source, target }) => `${source}\t${target}`), 'no tab', '\tempty side', 'Gleich\tGleich', 'Нет\tNo', ''].join('\n'));
    const train = [{ label: 'rows', fingerprint: '1', pairs: readPairs([{ path: file }], { languages }) }];
    const { report } = await prepareParallel(optionsOf({ train, heldOut: { validation: 2, test: 2 }, nearDuplicate: 1 }));
    expect(report.malformed).toEqual({ count: 1, first: [{ place: `${file}:51`, reason: '1 tab-separated column instead of 2' }] });
    expect(report.cleaning.read).toBe(53);
    expect(report.cleaning.dropped).toMatchObject({ empty: 1, copy: 1, script: 1, duplicate: 0 });
    expect(report.splits.train.pairs).toBe(46);
  });
});

describe('the stages', () => {
  it('are found again, and redone from the first that depends on a change', async () => {
    const options = optionsOf();
    const first = await prepareParallel(options);
    expect(stagesOf(first)).toEqual(['pairs made', 'vocabulary made', 'shards made']);
    const untouched = readdirSync(options.root).map((name) => statSync(join(options.root, name)).mtimeMs);
    const again = await prepareParallel(options);
    expect(stagesOf(again)).toEqual(['pairs', 'vocabulary', 'shards']);
    expect(again.directory).toBe(first.directory);
    expect(again.report).toEqual(first.report);
    expect(readdirSync(options.root).map((name) => statSync(join(options.root, name)).mtimeMs)).toEqual(untouched);
    const change = async (more: Partial<PrepareParallelOptions>) => stagesOf(await prepareParallel({ ...options, ...more }));
    expect(await change({ maximumTokens: 100 })).toEqual(['pairs', 'vocabulary', 'shards made']);
    expect(await change({ vocabulary: { size: 400 } })).toEqual(['pairs', 'vocabulary made', 'shards made']);
    expect(await change({ cleaning: { maxLengthRatio: 2 } })).toEqual(['pairs made', 'vocabulary made', 'shards made']);
    expect(await change({ heldOut: { validation: 15, test: 24 } })).toEqual(['pairs made', 'vocabulary made', 'shards made']);
    expect(await change({ train: [corpusOf(manyPairs(399))] })).toEqual(['pairs made', 'vocabulary made', 'shards made']);
    expect(stagesOf(await prepareParallel(options))).toEqual(['pairs', 'vocabulary', 'shards']); // the first settings are still there
  });

  it('are the same to the byte wherever they are made', async () => {
    const [a, b] = [await prepareParallel(optionsOf()), await prepareParallel(optionsOf())];
    for (const name of readdirSync(a.directory)) expect(readFileSync(join(b.directory, name)).equals(readFileSync(join(a.directory, name))), name).toBe(true);
  });

  it('are made anew when damaged', async () => {
    const options = optionsOf();
    const { directory, stages } = await prepareParallel(options);
    truncateSync(join(directory, 'train-00000.bin'), 10);
    await expect(openParallelDataset(directory)).rejects.toThrow(/train-00000\.bin has 10 bytes instead of/);
    expect(stagesOf(await prepareParallel(options))).toEqual(['pairs', 'vocabulary', 'shards made']);
    rmSync(join(stages[0].directory, 'train.jsonl'));
    expect(stagesOf(await prepareParallel(options))).toEqual(['pairs made', 'vocabulary', 'shards']);
    writeFileSync(join(stages[1].directory, 'stage.json'), '{');
    expect(stagesOf(await prepareParallel(options))).toEqual(['pairs', 'vocabulary made', 'shards']);
  });

  it('leave nothing when they fail', async () => {
    const root = freshRoot();
    async function* failing(): AsyncGenerator<TextPair> {
      for (const pair of manyPairs(100)) yield { ...pair, place: 'x' };
      throw new Error('the disk went away');
    }
    const train = [{ label: 'failing', fingerprint: 'f', pairs: failing() }];
    await expect(prepareParallel(optionsOf({ root, train }))).rejects.toThrow('the disk went away');
    expect(existsSync(root)).toBe(false);
    await expect(prepareParallel(optionsOf({ root, vocabulary: { size: 100 } }))).rejects.toThrow('vocabularySize is 100');
    expect(readdirSync(root).map((name) => name.replace(/-.*/, ''))).toEqual(['pairs']); // finished, and used again
  });

  it('may be made by two at once', async () => {
    const options = optionsOf();
    const [a, b] = await Promise.all([prepareParallel(options), prepareParallel(options)]);
    expect(a.report).toEqual(b.report);
    const dataset = await openParallelDataset(a.directory, { verify: 'sha256' });
    dataset.close();
    expect(readdirSync(options.root).length).toBe(3);
  });

  it('tell how far they are', async () => {
    const seen = new Set<string>();
    await prepareParallel(optionsOf({ onProgress: ({ stage }) => seen.add(stage) }));
    expect([...seen]).toEqual(['pairs', 'vocabulary', 'shards']);
  });
});

describe('opening', () => {
  it('names what is damaged', async () => {
    const { directory } = await prepareParallel(optionsOf());
    const file = (name: string) => join(directory, name);
    const restoring = async (name: string, change: (content: Buffer) => Buffer | undefined, message: RegExp, verify: 'size' | 'once' | 'sha256' = 'size') => {
      const content = readFileSync(file(name));
      const changed = change(Buffer.from(content));
      if (changed === undefined) rmSync(file(name));
      else writeFileSync(file(name), changed);
      await expect(openParallelDataset(directory, { verify }), name).rejects.toThrow(message);
      writeFileSync(file(name), content);
    };
    const flipped = (content: Buffer) => {
      content[0] ^= 1;
      return content;
    };
    await restoring('index.json', () => undefined, /index\.json cannot be read: .* is not a directory of prepared pairs/);
    await restoring('index.json', () => Buffer.from('{'), /not valid JSON/);
    await restoring('index.json', (content) => Buffer.from(content.toString().replace('"xmoe-parallel-shards"', '"else"')), /format: /);
    await restoring('test-lengths.bin', () => undefined, /test-lengths\.bin is missing/);
    await restoring('test-lengths.bin', (content) => content.subarray(12), /test-lengths\.bin has \d+ bytes instead of \d+/);
    await restoring('test-lengths.bin', flipped, /test-lengths\.bin was altered/);
    await restoring('train-00000.bin', flipped, /train-00000\.bin was altered/, 'sha256');
    await restoring('train-00000.bin', flipped, /train-00000\.bin was altered/, 'once');
    await restoring('test-00000.bin', flipped, /test-00000\.bin was altered/, 'once'); // whatever is remembered of the others
    await restoring('tokenizer.json', (content) => Buffer.from(content.toString().replace('<|padding|>', '<|other|>').replace('<|padding|>', '<|other|>')), /tokenizer\.json is not the tokenizer that the pairs were encoded with/);
    await expect(openParallelDataset(path('nowhere'))).rejects.toThrow('is not a directory of prepared pairs');
    (await openParallelDataset(directory, { verify: 'sha256' })).close();
  });

  it('reads nothing once closed', async () => {
    const dataset = await openParallelDataset((await prepareParallel(optionsOf())).directory);
    dataset.close();
    expect(() => dataset.split('train').read(0)).toThrow('was closed');
  });
});

describe('errors', () => {
  it.each<[string, Partial<PrepareParallelOptions>, RegExp]>([
    ['no corpus', { train: [] }, /no training corpus/],
    ['one language', { languages: { source: 'en', target: 'en' } }, /source and target language are both "en"/],
    ['an unknown language', { languages: { source: 'qq', target: 'en' } }, /the script of language "qq" is not known/],
    ['more held out than there is', { heldOut: { validation: 300, test: 300 } }, /600 pairs are to be held out, and only \d+ of 400 differ enough/],
    ['all held out', { heldOut: { validation: 200, test: 200 }, nearDuplicate: 1 }, /no pairs are left to train on/],
    ['nothing left by the filters', { languages: { source: 'uk', target: 'en' } }, /no pairs are left to train on, of 400 in memory/],
    ['nothing short enough', { maximumTokens: 3 }, /all \d+ have more than 3 tokens on a side/],
    ['a threshold', { nearDuplicate: 0 }, /nearDuplicate is 0/],
    ['a count', { heldOut: { validation: -1, test: 0 } }, /validation pairs to hold out: -1/],
    ['a limit', { maximumTokens: 1.5 }, /maximumTokens is 1.5/],
    ['an empty side in a given set', { test: corpusOf([{ source: 'Text', target: ' ' }], 'given') }, /given 0: the target is empty/],
    ['an invisible side in a given set', { test: corpusOf([{ source: '\u00ad\u200b', target: 'text' }], 'given') }, /given 0: the source is empty/],
    ['a side without end in a given set', { test: corpusOf([{ source: 'Text', target: 'x'.repeat(1_000_001) }], 'given') }, /given 0: the target has 1000001 characters/],
    ['an empty side when strict', { strict: true, train: [corpusOf([{ source: '', target: 'x' }], 'strict')] }, /strict 0: the source is empty/],
    ['too many kinds', { train: [corpusOf(manyPairs(1100).map((pair, i) => ({ ...pair, kind: `k${i}` })))] }, /more than 1000 kinds of pairs/],
  ])('%s', async (_, more, message) => {
    const options = optionsOf(more);
    await expect(prepareParallel(options)).rejects.toThrow(message);
    const left = existsSync(options.root) ? readdirSync(options.root) : [];
    expect(left.filter((name) => name.startsWith('.') || name.startsWith('shards'))).toEqual([]);
  });

  it('a root that is a file', async () => {
    const root = path('file');
    mkdirSync(path('occupied'), { recursive: true });
    writeFileSync(root, '');
    await expect(prepareParallel(optionsOf({ root }))).rejects.toThrow();
  });

  it('cleaned pairs can be read like any others', async () => {
    const { stages } = await prepareParallel(optionsOf());
    const pairs = await collect(readPairs([{ path: join(stages[0].directory, 'test.jsonl') }], { languages }));
    expect(pairs).toHaveLength(25);
    expect(pairs[0].kind).toMatch(/^[ab]$/);
  });
});
