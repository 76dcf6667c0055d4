// The data section of a configuration, from files or language packs to prepared pairs, and the errors of bad ones.
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { translationRunSchema } from '@xmoe/models';
import { parseConfig } from '@xmoe/train';
import { afterAll, describe, expect, it } from 'vitest';
import { preparationSummary } from '../src/preparation-summary.js';
import { prepareData } from '../src/prepare-data.js';

const folder = mkdtempSync(join(tmpdir(), 'xmoe-nmt-data-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const write = (name: string, content: string | Uint8Array): string => {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
};
let roots = 0;
const freshRoot = () => join(folder, `root-${roots++}`);

const config = (value: object) => parseConfig(translationRunSchema.shape.data, { validationPairs: 5, testPairs: 5, tokenizer: { type: 'bpe', vocabularySize: 350 }, ...value }, { where: 'test' });
const lines = Array.from({ length: 60 }, (_, i) => [`Zeile ${'abcdefghij'[i % 10]}${'klmnopqrst'[Math.floor(i / 10)]}x ist hier ${'Wald Feld Berg Dorf See'.split(' ')[i % 5]}`, `Line ${'abcdefghij'[i % 10]}${'klmnopqrst'[Math.floor(i / 10)]}y is here ${'wood field hill village lake'.split(' ')[i % 5]}`]);
const tsv = write('pairs.tsv', lines.map((line) => `${line.join('\t')}\tui\n`).join(''));
const german = write('text.de', lines.map(([source]) => source).join('\n'));
const english = write('text.en', lines.map(([, target]) => target).join('\n'));

describe('preparing', () => {
  it('files, in a folder of their languages and name, and nothing the second time', async () => {
    const root = freshRoot();
    const options = config({ files: [tsv], cleaning: { nearDuplicate: 1 } });
    const first = await prepareData(options, root);
    expect(readdirSync(root)).toEqual(['de-en-pairs']);
    expect(first.dataset.split('train').pairs).toBe(50);
    expect(first.dataset.split('test').pairs).toBe(5);
    expect(first.dataset.split('train').kinds).toEqual(['ui']);
    first.dataset.close();
    const again = await prepareData(options, root);
    expect(again.prepared.stages.every(({ reused }) => reused)).toBe(true);
    again.dataset.close();
  });

  it('line-aligned files and objects, several at once, with given sets', async () => {
    const options = config({
      files: [`${german}::${english}`, { path: tsv, fields: { source: 1, target: 2 }, kind: 'table' }],
      testFiles: [{ path: write('test.tsv', 'Ein Satz aus\u00a0dem Test\tA  sentence of the test\n') }],
      validationPairs: 3,
      cleaning: { nearDuplicate: 1, removeDuplicates: false },
    });
    const { dataset, prepared } = await prepareData(options, freshRoot());
    expect(prepared.report.cleaning.read).toBe(120);
    expect(dataset.text('test', 0)).toEqual({ source: 'Ein Satz aus dem Test', target: 'A  sentence of the test' });
    expect(dataset.split('train').kinds).toEqual(['', 'table']);
    dataset.close();
  });

  it('a tokenizer of an earlier preparation', async () => {
    const root = freshRoot();
    const first = await prepareData(config({ files: [tsv], cleaning: { nearDuplicate: 1 } }), root);
    const given = { type: 'file', path: first.prepared.directory };
    const second = await prepareData(config({ files: [`${german}::${english}`], cleaning: { nearDuplicate: 1 }, tokenizer: given }), root);
    expect(second.dataset.tokenizer.hash).toBe(first.dataset.tokenizer.hash);
    first.dataset.close();
    second.dataset.close();
  });

  it('the language packs, with held-out pairs unlike the others, and a summary', async () => {
    const options = config({ sourceLanguage: 'de', validationPairs: 30, testPairs: 50, tokenizer: { type: 'bpe', vocabularySize: 1000 } });
    const { dataset, prepared } = await prepareData(options, freshRoot());
    const { train, test, validation } = prepared.report.splits;
    expect([test.pairs, validation.pairs]).toEqual([50, 30]);
    expect(train.pairs).toBeGreaterThan(7_500);
    expect(prepared.report.leaks.near).toBeGreaterThan(10);
    const targets = new Set(Array.from({ length: dataset.split('train').pairs }, (_, i) => dataset.text('train', i).target.toLowerCase()));
    for (let i = 0; i < 50; i++) expect(targets.has(dataset.text('test', i).target.toLowerCase())).toBe(false);
    const summary = preparationSummary(prepared).join('\n');
    expect(summary).toContain('Pairs de-en of language packs de-en');
    expect(summary).toContain(`${prepared.report.leaks.near}  dropped: a side nearly the same as in a held-out pair`);
    expect(summary).toMatch(/50 {2}test \(held out\): \d+ \+ \d+ tokens/);
    expect(summary).toMatch(/made {2}shards: /);
    dataset.close();
  });
});

describe('errors', () => {
  it.each<[string, object, RegExp]>([
    ['files that are not aligned', { files: [`${german}::${write('short.en', 'one\ntwo\n')}`] }, /not aligned: .*text\.de has 60 lines and .*short\.en has 2/],
    ['a wrong encoding', { files: [write('latin.tsv', Buffer.from('schön\tnice\n', 'latin1'))] }, /latin\.tsv is not UTF-8: byte 3/],
    ['an empty side when strict', { files: [write('empty.tsv', '\tEnglish\n')], strict: true }, /empty\.tsv:1: the source is empty/],
    ['a malformed row of a given set', { files: [tsv], testFiles: [write('bad.tsv', 'a b\n')] }, /bad\.tsv:1: 1 tab-separated column/],
    ['an unknown language', { files: [tsv], sourceLanguage: 'qq' }, /the script of language "qq" is not known/],
    ['a language without a pack', { sourceLanguage: 'uk' }, /there is no language pack for "uk"/],
    ['no language', { files: [tsv], sourceLanguage: '../..', cleaning: { minScriptShare: 0 } }, /"\.\.\/\.\." is no language code/],
    ['a tokenizer that is not there', { files: [tsv], tokenizer: { type: 'file', path: join(folder, 'none.json') } }, /no tokenizer at .*none\.json/],
  ])('%s', async (_, value, message) => {
    const root = freshRoot();
    await expect(prepareData(config(value), root)).rejects.toThrow(message);
    const left = existsSync(root) ? readdirSync(root, { recursive: true, withFileTypes: true }) : [];
    expect(left.filter((entry) => entry.isFile())).toEqual([]);
  });

  it('of the configuration name the key', () => {
    expect(() => config({ filez: [] })).toThrow('unknown key filez');
    expect(() => config({ cleaning: { nearDuplicate: 0 } })).toThrow('cleaning.nearDuplicate');
    expect(() => config({ files: [{ path: 'a', formt: 'tsv' }] })).toThrow('formt');
    expect(() => config({ files: [{ path: 'a', format: 'xls' }] })).toThrow('files[0]');
  });
});
