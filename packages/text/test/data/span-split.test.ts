// Few documents cut into spans: nothing is lost or doubled, the shares are about those asked for, and lines stay whole.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { locateCorpus } from '../../src/data/corpus-layout.js';
import { planSplits } from '../../src/data/plan-splits.js';
import { prepareShards } from '../../src/data/prepare-shards.js';
import { readDocuments } from '../../src/data/read-documents.js';
import { splitNames } from '../../src/data/splits.js';
import { splitStream } from '../../src/data/split-stream.js';
import type { SplitFractions } from '../../src/data/split-documents.js';
import { documentsOfSpan } from '../../src/data/span-split.js';
import { trainBpe } from '../../src/tokenizers/train-bpe.js';
import { collect, temporaryFolder, toDocuments } from './temporary.js';

const { path, write } = temporaryFolder();

async function spans(texts: readonly string[], fractions: SplitFractions): Promise<Record<'train' | 'validation' | 'test', string[]>> {
  const documents = toDocuments(texts);
  const of = async (name: 'train' | 'validation' | 'test') => (await collect(documentsOfSpan(documents, texts.map(({ length }) => length), fractions, name))).map(({ text }) => text);
  return { train: await of('train'), validation: await of('validation'), test: await of('test') };
}

describe('documentsOfSpan', () => {
  it('gives every character once, in order, and whole surrogate pairs', async () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'é', '🥊', ' ', '\n'), minLength: 1, maxLength: 60 });
    const share = fc.double({ min: 0, max: 0.45, noNaN: true });
    await fc.assert(
      fc.asyncProperty(fc.array(text, { minLength: 1, maxLength: 5 }), share, share, async (texts, validation, test) => {
        const pieces = await spans(texts, { validation, test });
        const all = [...pieces.train, ...pieces.validation, ...pieces.test];
        const visible = (parts: readonly string[]) => parts.join('').replaceAll(/\s/g, '');
        expect(visible(all)).toBe(visible(texts));
        for (const piece of all) expect(piece).not.toMatch(/\p{Surrogate}/u);
        if (validation === 0) expect(pieces.validation).toEqual([]);
        if (test === 0) expect(pieces.test).toEqual([]);
      }),
    );
  });

  it('cuts one text at line borders, near the shares', async () => {
    const lines = Array.from({ length: 400 }, (_, i) => `line ${i} ${'word '.repeat(i % 7)}\n`);
    const pieces = await spans([lines.join('')], { validation: 0.1, test: 0.05 });
    const [train, validation, test] = splitNames.map((name) => pieces[name][0]!);
    expect(train + validation + test).toBe(lines.join(''));
    for (const piece of [train, validation, test]) expect(piece.startsWith('line ') && piece.endsWith('\n')).toBe(true);
    expect(validation!.length / lines.join('').length).toBeCloseTo(0.1, 2);
    expect(test!.length / lines.join('').length).toBeCloseTo(0.05, 2);
  });

  it('cuts one line at words, one word at characters, and whole documents where they end there', async () => {
    expect(await spans(['one two three four five six seven eight nine ten'], { validation: 0.2, test: 0.2 })).toEqual({ train: ['one two three four five six '], validation: ['seven eight '], test: ['nine ten'] });
    expect(await spans(['abcdefghij'], { validation: 0.2, test: 0.2 })).toEqual({ train: ['abcdef'], validation: ['gh'], test: ['ij'] });
    expect(await spans(['aaaa\n', 'bbbb\n', 'cccc\n', 'dddd\n'], { validation: 0.25, test: 0.25 })).toEqual({ train: ['aaaa\n', 'bbbb\n'], validation: ['cccc\n'], test: ['dddd\n'] });
  });
});

describe('a corpus of few documents', () => {
  const lines = Array.from({ length: 300 }, (_, i) => `this is line ${i} of the novel\n`).join('');
  const fractions = { validation: 0.05, test: 0.05 };
  const planOf = async (...files: string[]) => planSplits(await locateCorpus(files), fractions, (paths) => readDocuments(paths));

  it('is cut into spans, in shards too, and its malformed rows count once', async () => {
    const plan = await planOf(write('novel.txt', lines));
    expect(plan.line).toBe('splits: train from novel.txt (one document, cut into spans: the first 90 %), validation the next 5 %, test the last 5 %');
    const tokenizer = trainBpe([lines], { vocabularySize: 300 });
    const { index } = await prepareShards({ documents: plan.documents(), sourceFingerprint: 'novel', tokenizer, outDirectory: path('shards'), split: plan.split, cut: plan.cut });
    expect(splitNames.map((name) => index.splits[name].documents)).toEqual([1, 1, 1]);
    expect(splitNames.reduce((sum, name) => sum + index.splits[name].bytes, 0)).toBe(lines.length);

    const rows = await planOf(write('rows.jsonl', `${JSON.stringify({ text: lines })}\nbroken\n${JSON.stringify({ text: lines })}\n`));
    expect(rows.line).toContain('(2 documents, cut into spans: the first 90 %)');
    const counted = await prepareShards({ documents: rows.documents(), sourceFingerprint: 'rows', tokenizer, outDirectory: path('counted'), split: rows.split, cut: rows.cut });
    expect(counted.index.malformed.count).toBe(1);
  });

  it('gives the spans of what is missing only', async () => {
    const plan = await planOf(write('train.txt', lines), write('val.txt', 'a validation text\n'));
    expect(plan.line).toBe('splits: train from train.txt (one document, cut into spans: the first 95 %), validation from val.txt, test the last 5 %');
    const texts: Record<string, string> = {};
    for await (const { split, document } of splitStream(plan.documents(), plan)) texts[split] = document.text;
    expect(texts.validation).toBe('a validation text\n');
    expect(texts.train + texts.test).toBe(lines);
  });

  it('is a matter of documents: twenty are split whole', async () => {
    const rows = (count: number) => write(`${count}.jsonl`, Array.from({ length: count }, (_, i) => `${JSON.stringify({ text: `document ${i}` })}\n`).join(''));
    expect((await planOf(rows(19))).line).toContain('19 documents, cut into spans');
    expect((await planOf(rows(20))).line).toBe('splits: train from 20.jsonl, validation cut from train by document (5 %), test cut from train by document (5 %)');
  });
});
