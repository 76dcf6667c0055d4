// Which files are which split: by names as public corpora have them. Nothing held out is ever trained on, nothing is used or left out
// without being named.
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { locateCorpus } from '../../src/data/corpus-layout.js';
import { planSplits } from '../../src/data/plan-splits.js';
import { readDocuments } from '../../src/data/read-documents.js';
import { splitNames, type SplitName } from '../../src/data/splits.js';
import { splitStream } from '../../src/data/split-stream.js';
import { labelOfFile } from '../../src/data/split-names.js';
import { temporaryFolder } from './temporary.js';

const { path } = temporaryFolder();
let trees = 0;

/** A folder with these files; JSON lines and text hold 25 documents that say which file they are from. `-> target` makes a link. */
function tree(files: Readonly<Record<string, string>> | readonly string[]): string {
  const root = path(`tree ${++trees}`);
  for (const [name, content] of Array.isArray(files) ? files.map((file: string) => [file, documentsOf(file)] as const) : Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    if (content.startsWith('-> ')) symlinkSync(content.slice(3), join(root, name));
    else writeFileSync(join(root, name), content);
  }
  return root;
}

const documentsOf = (name: string, count = 25): string =>
  Array.from({ length: count }, (_, i) => `${JSON.stringify({ text: `${name} document ${i}` })}\n`).join('');

/** The layout as names by split. */
async function layoutOf(...sources: string[]) {
  const { files, leftOut } = await locateCorpus(sources);
  return { ...Object.fromEntries(splitNames.map((name) => [name, files[name].map(({ shown }) => shown)])), leftOut };
}

const FRACTIONS = { validation: 0.2, test: 0.1 };
const read = (paths: readonly string[]) => readDocuments(paths);

/** The line of the plan, and the files that the documents of each split are from. */
async function splitsOf(...sources: string[]) {
  const plan = await planSplits(await locateCorpus(sources), FRACTIONS, read);
  const from: Record<SplitName, Set<string>> = { train: new Set(), validation: new Set(), test: new Set() };
  for await (const { split, document } of splitStream(plan.documents(), plan)) from[split].add(document.text.split(' document ')[0]);
  return { line: plan.line, from: Object.fromEntries(splitNames.map((name) => [name, [...from[name]].sort()])) };
}

describe('names', () => {
  it.each([
    ['train-00000-of-00002.parquet', 'train', true], ['train_sft-00000-of-00001.parquet', 'train', true], ['Stories-train.jsonl', 'train', true],
    ['TinyStoriesV2-GPT4-train.txt', 'train', true], ['wiki.train.tokens', 'train', true], ['c4-train.00000-of-01024.json.gz', 'train', true],
    ['openwebtextTrain0.jsonl', 'train', true], ['train', 'train', true], ['train_data_v2.jsonl.zst', 'train', true], ['train-clean.jsonl', 'train', false],
    ['val.jsonl', 'validation', true], ['valid.txt', 'validation', true], ['dev-00000-of-00001.parquet', 'validation', true], ['c4-validation.00001-of-00008.json.gz', 'validation', true],
    ['test.jsonl', 'test', true], ['wiki.test.raw', 'test', true], ['test-of-time.txt', 'test', false], ['eval.jsonl', 'other', true], ['held-out.jsonl', 'other', true],
    ['latest.jsonl', undefined], ['contest.txt', undefined], ['devotion.txt', undefined], ['trains.txt', undefined], ['0000.parquet', undefined], ['train-test-split.jsonl', undefined],
  ] as const)('%s says %s', (name, split, sure?: boolean) => {
    expect(labelOfFile(name)).toEqual(split === undefined ? undefined : { split, sure });
  });
});

describe('a folder', () => {
  const none = { validation: [], test: [] };
  it.each<[string, string[], Partial<Record<SplitName | 'leftOut', string[]>>]>([
    ['all three and strangers', ['train.jsonl', 'validation.jsonl', 'test.jsonl', 'README.md', 'LICENSE', '.gitattributes', 'dataset_infos.json', 'script.py'],
      { train: ['train.jsonl'], validation: ['validation.jsonl'], test: ['test.jsonl'], leftOut: ['.gitattributes', 'LICENSE', 'README.md', 'dataset_infos.json', 'script.py'] }],
    ['two of three', ['train.jsonl', 'validation.jsonl'], { train: ['train.jsonl'], validation: ['validation.jsonl'], test: [] }],
    ['test only beside others', ['a.jsonl', 'b.jsonl', 'test.jsonl'], { train: ['a.jsonl', 'b.jsonl'], test: ['test.jsonl'] }],
    ['names with more in them', ['Stories-train.jsonl', 'Stories-valid.jsonl'], { train: ['Stories-train.jsonl'], validation: ['Stories-valid.jsonl'] }],
    ['others beside train', ['train.jsonl', 'val.jsonl', 'extra.jsonl'], { train: ['train.jsonl'], validation: ['val.jsonl'], leftOut: ['extra.jsonl'] }],
    ['one that only holds the word, among novels', ['train-journey.txt', 'alice.txt', 'bob.txt'], { train: ['alice.txt', 'bob.txt', 'train-journey.txt'], leftOut: [] }],
    ['weak names of both kinds', ['train-clean.jsonl', 'test-clean.jsonl', 'README.md'], { train: ['train-clean.jsonl'], test: ['test-clean.jsonl'], leftOut: ['README.md'] }],
    ['folders', ['train/0000.jsonl', 'train/more/0001.jsonl', 'val/0000.jsonl', 'test/0000.jsonl', 'docs/guide.md', 'README.md'],
      { train: ['train/0000.jsonl', 'train/more/0001.jsonl'], validation: ['val/0000.jsonl'], test: ['test/0000.jsonl'], leftOut: ['README.md', 'docs/'] }],
    ['a file in a folder whose name holds a word', ['train/test-of-time.txt', 'train/b.txt', 'test/a.txt'], { train: ['train/b.txt', 'train/test-of-time.txt'], test: ['test/a.txt'] }],
    ['a repository with one folder of data', ['README.md', 'plain_text/train-00000-of-00002.jsonl', 'plain_text/train-00001-of-00002.jsonl'],
      { train: ['plain_text/train-00000-of-00002.jsonl', 'plain_text/train-00001-of-00002.jsonl'], leftOut: ['README.md'] }],
    ['one corpus beside folders of other things', ['data/train.jsonl', 'data/test.jsonl', 'notes/a.txt'], { train: ['data/train.jsonl'], test: ['data/test.jsonl'], leftOut: ['notes/'] }],
    ['a tree of texts', ['austen/emma.txt', 'austen/persuasion.txt', 'doyle/hound.txt', '.git/x.txt'], { train: ['austen/emma.txt', 'austen/persuasion.txt', 'doyle/hound.txt'], leftOut: [] }],
    ['files with folders beside them', ['a.txt', 'drafts/b.txt'], { train: ['a.txt'], leftOut: ['drafts/'] }],
    ['eval, with nothing else held out', ['train.jsonl', 'eval.jsonl'], { train: ['train.jsonl'], validation: [], test: ['eval.jsonl'] }],
    ['eval beside test', ['train.jsonl', 'eval.jsonl', 'test.jsonl'], { validation: ['eval.jsonl'], test: ['test.jsonl'] }],
    ['held out beside all', ['train.jsonl', 'dev.jsonl', 'test.jsonl', 'heldout.jsonl'], { validation: ['dev.jsonl'], test: ['test.jsonl'], leftOut: ['heldout.jsonl'] }],
    ['archives beside train', ['Stories-train.txt', 'Stories-valid.txt', 'all_data.tar.gz', 'prompts.yaml'], { train: ['Stories-train.txt'], validation: ['Stories-valid.txt'], leftOut: ['all_data.tar.gz', 'prompts.yaml'] }],
    ['metadata beside JSON lines', ['a.jsonl', 'counts.csv', 'stats.json', 'notes.md'], { train: ['a.jsonl'], leftOut: ['counts.csv', 'notes.md', 'stats.json'] }],
    ['tables with splits', ['train.csv', 'test.tsv', 'notes.md'], { train: ['train.csv'], test: ['test.tsv'], leftOut: ['notes.md'] }],
    ['Markdown alone', ['a.md', 'b.md', 'README.md'], { train: ['a.md', 'b.md'], leftOut: ['README.md'] }],
    ['Parquet beside text', ['part-0.parquet', 'urls.txt', 'card.md'], { train: ['part-0.parquet'], leftOut: ['card.md', 'urls.txt'] }],
  ])('%s', async (_, files, expected) => {
    expect(await layoutOf(tree(files))).toMatchObject({ ...(expected.validation || expected.test ? {} : none), ...expected });
  });

  it('of the hub’s cache: links into blobs, at the commit of main', async () => {
    const root = tree({
      'blobs/aa': documentsOf('new'), 'blobs/bb': documentsOf('old'), 'refs/main': 'c2\n',
      'snapshots/c1/train.jsonl': '-> ../../blobs/bb', 'snapshots/c2/en/train.jsonl': '-> ../../../blobs/aa', 'snapshots/c2/README.md': '-> ../../blobs/bb',
    });
    expect((await splitsOf(root)).from).toEqual({ train: ['new'], validation: ['new'], test: ['new'] });
    expect(await layoutOf(root)).toMatchObject({ train: ['en/train.jsonl'], leftOut: ['README.md'] });
    const two = tree({ 'blobs/aa': 'x', 'snapshots/c1/a.txt': 'x', 'snapshots/c2/a.txt': 'x' });
    await expect(locateCorpus([two])).rejects.toThrow(/2 snapshots/);
  });

  it('with links in a circle is read once', async () => {
    const root = tree({ 'a/x.jsonl': documentsOf('a'), 'b/again': '-> ..', 'b/y/self': '-> .', 'b/y/z.jsonl': documentsOf('z') });
    expect(await layoutOf(root)).toMatchObject({ train: ['a/x.jsonl', 'b/y/z.jsonl'], leftOut: [] });
  });

  it.each<[string, Record<string, string> | string[], RegExp]>([
    ['several corpora', ['wikitext-103-raw-v1/train.jsonl', 'wikitext-103-raw-v1/test.jsonl', 'wikitext-2-raw-v1/train-00000-of-00001.jsonl', 'README.md'], /holds 2 corpora, .*name one of: wikitext-103-raw-v1, wikitext-2-raw-v1$/],
    ['several corpora below one folder', ['data/en/train.jsonl', 'data/de/train.jsonl'], /name one of: data\/de, data\/en$/],
    ['parts that are packed otherwise', ['a.jsonl', 'b.jsonl.bz2', 'c.txt.xz'], /2 files of the corpus cannot be read: .*b\.jsonl\.bz2 \(compressed as \.bz2\), .*c\.txt\.xz \(compressed as \.xz\)/],
    ['a packed part beside train', ['train/0.jsonl', 'train/1.jsonl.xz'], /1\.jsonl\.xz \(compressed as \.xz\)/],
    ['an archive in a split', ['train.jsonl', 'test.tar.xz'], /test\.tar\.xz \(an archive\)/],
    ['a corpus in many languages', Array.from({ length: 20 }, (_, i) => `2024.l${String(i).padStart(2, '0')}/train.jsonl`), /name one of: 2024\.l00, .*2024\.l11 and 8 more$/],
    ['only such', ['train/a.zip', 'train/b.tar.gz'], /a\.zip \(an archive\), .*b\.tar\.gz \(an archive\)/],
    ['a split of a kind that is not read', ['train.jsonl', 'test.arrow'], /test\.arrow \(of the kind \.arrow\)/],
    ['a link to nothing', { 'train.jsonl': documentsOf('t'), 'test.jsonl': '-> gone' }, /test\.jsonl \(a link to nothing\)/],
    ['only held-out files', ['test.jsonl', 'val.jsonl'], /nothing to train on, only validation and test files \(test\.jsonl, val\.jsonl\)/],
    ['only a card', ['README.md', 'LICENSE'], /holds no text, JSON lines, CSV, TSV or Parquet files beside LICENSE, README\.md/],
    ['nothing', { 'empty/.keep': '' }, /holds no text, JSON lines, CSV, TSV or Parquet files/],
    ['texts above folders of Parquet', ['a.txt', 'data/x.parquet'], /holds text files \(a\.txt\) and folders of Parquet files \(data\)/],
  ])('is refused with %s', async (_, files, message) => {
    await expect(locateCorpus([tree(files)])).rejects.toThrow(message);
  });
});

describe('several paths', () => {
  it('folders by their own names, files by theirs, everything named is used', async () => {
    const root = tree(['train/0.jsonl', 'validation/0.jsonl', 'test/0.jsonl', 'more/x.jsonl', 'val.jsonl']);
    const at = (...names: string[]) => names.map((name) => join(root, name));
    expect(await layoutOf(...at('train', 'validation', 'test'))).toEqual({ train: ['train/0.jsonl'], validation: ['validation/0.jsonl'], test: ['test/0.jsonl'], leftOut: [] });
    expect(await layoutOf(...at('train', 'test', 'more', 'val.jsonl'))).toEqual({ train: ['train/0.jsonl', 'more/x.jsonl'], validation: ['val.jsonl'], test: ['test/0.jsonl'], leftOut: [] });
    expect(await layoutOf(...at('train', 'train', 'train/0.jsonl'))).toMatchObject({ train: ['train/0.jsonl'] });
  });

  it('one split alone, named on purpose, is the corpus', async () => {
    const root = tree(['test.jsonl', 'test/0.jsonl', 'README.md']);
    expect(await layoutOf(join(root, 'test.jsonl'))).toMatchObject({ train: ['test.jsonl'], test: [] });
    expect(await layoutOf(join(root, 'test'))).toMatchObject({ train: ['0.jsonl'], test: [] });
    expect(await layoutOf(join(root, 'README.md'))).toMatchObject({ train: ['README.md'] });
    expect(await layoutOf(join(root, '*'))).toMatchObject({ train: ['test.jsonl'], leftOut: ['README.md'] });
  });

  it('what cannot be read is refused by name too', async () => {
    const root = tree(['a.txt.xz']);
    await expect(locateCorpus([join(root, 'a.txt.xz')])).rejects.toThrow(/a\.txt\.xz \(compressed as \.xz\)/);
    await expect(locateCorpus([join(root, 'gone.txt')])).rejects.toThrow(/gone\.txt does not exist/);
    await expect(locateCorpus([])).rejects.toThrow('no sources');
  });
});

describe('planSplits', () => {
  it('cuts what is missing from train, and says so', async () => {
    const root = tree(['train-00000-of-00009.jsonl', 'train-00001-of-00009.jsonl', 'val.jsonl', 'README.md']);
    expect(await splitsOf(root)).toEqual({
      line: 'splits: train from 2 files (2 of 9 parts), validation from val.jsonl, test cut from train by document (10 %); left out: README.md',
      from: { train: ['train-00000-of-00009.jsonl', 'train-00001-of-00009.jsonl'], validation: ['val.jsonl'], test: expect.not.arrayContaining(['val.jsonl']) },
    });
  });

  it('keeps all three as they are', async () => {
    const root = tree(['train.jsonl', 'val.jsonl', 'test.jsonl']);
    expect(await splitsOf(root)).toEqual({
      line: 'splits: train from train.jsonl, validation from val.jsonl, test from test.jsonl',
      from: { train: ['train.jsonl'], validation: ['val.jsonl'], test: ['test.jsonl'] },
    });
  });

  it('leaves out a split whose share is 0', async () => {
    const plan = await planSplits(await locateCorpus([tree(['a.jsonl'])]), { validation: 0, test: 0 }, read);
    expect(plan.line).toBe('splits: train from a.jsonl, no validation, no test');
    const splits = new Set<SplitName>();
    for await (const { split } of splitStream(plan.documents(), plan)) splits.add(split);
    expect([...splits]).toEqual(['train']);
  });

  it('differs in its key where the same files play other roles', async () => {
    const [a, b] = [tree(['train.jsonl', 'val.jsonl']), tree(['train.jsonl', 'test.jsonl'])];
    const keys = await Promise.all([a, b].map(async (root) => (await planSplits(await locateCorpus([root]), FRACTIONS, read)).key));
    expect(keys[0]).not.toBe(keys[1]);
    const few = await locateCorpus([tree({ 'novel.txt': 'a\nb\nc\nd\n' })]);
    const spans = await Promise.all([0.2, 0.3].map(async (validation) => (await planSplits(few, { ...FRACTIONS, validation }, read)).key));
    expect(spans[0]).not.toBe(spans[1]);
  });
});
