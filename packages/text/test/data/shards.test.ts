// Prepared shards: what is written is read back across borders; made as a unit; reused, refused and damaged ones named.
import { createHash } from 'node:crypto';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { dataFingerprint, fingerprintSources, watchFiles } from '../../src/data/shard-index.js';
import { openShards } from '../../src/data/open-shards.js';
import { prepareShards, type PrepareShardsOptions } from '../../src/data/prepare-shards.js';
import { readDocuments } from '../../src/data/read-documents.js';
import { splitDocuments } from '../../src/data/split-documents.js';
import { splitNames } from '../../src/data/splits.js';
import type { TokenSplit } from '../../src/data/token-split.js';
import { loadTokenizer } from '../../src/tokenizers/load-tokenizer.js';
import { trainBpe } from '../../src/tokenizers/train-bpe.js';
import { temporaryFolder, toDocuments } from './temporary.js';

const { path, write } = temporaryFolder();
const texts = Array.from({ length: 60 }, (_, i) => `Document ${i}: ${'Zwölf Boxkämpfer 🥊 '.repeat((i * 7) % 23)}end`);
const documents = toDocuments(texts);
const tokenizer = trainBpe(texts, { vocabularySize: 300 });
const split = { validation: 0.2, test: 0.2 };
const base = { documents, tokenizer, sourceFingerprint: 'test 1', split, shardTokens: 400 };
const prepare = (name: string, changes: Partial<PrepareShardsOptions> = {}) =>
  prepareShards({ ...base, outDirectory: path(name), ...changes });

const readAll = (tokens: TokenSplit) => {
  const out = new Int32Array(tokens.length);
  tokens.read(0, tokens.length, out);
  return [...out];
};
const sortedFiles = (folder: string) => readdirSync(folder).sort();

describe('prepareShards', () => {
  it('may be asked for the same by two at once: both have it, one made it', async () => {
    const both = await Promise.all([prepare('raced'), prepare('raced')]);
    expect(both.map(({ reused }) => reused).toSorted()).toEqual([false, true]);
    expect(both[0]!.index).toEqual(both[1]!.index);
    expect(readdirSync(path('.')).filter((name) => name.includes('raced'))).toEqual(['raced']);
    const others = await Promise.allSettled([prepare('contested'), prepare('contested', { sourceFingerprint: 'test 2' })]);
    expect(others.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']); // not what it asked for
  });

  it('writes every document once, each followed by the end of text', async () => {
    const { index, reused } = await prepare('whole');
    expect(reused).toBe(false);
    const data = await openShards(path('whole'), { verify: 'sha256' });
    const expected = splitDocuments(documents, split);
    for (const name of splitNames) {
      const decoded = tokenizer.decode(readAll(data.split(name))).split('<|endoftext|>').slice(0, -1);
      expect(decoded).toEqual(expected[name].map(({ text }) => text));
      const bytes = Buffer.byteLength(decoded.join(''));
      expect(index.splits[name]).toMatchObject({ bytes, documents: decoded.length, tokens: data.split(name).length });
      expect(index.splits[name].shards.reduce((sum, shard) => sum + shard.documents, 0)).toBe(decoded.length);
    }
    expect(index.splits.train.shards.length).toBeGreaterThan(2);
    expect(index.splits.train.shards.slice(0, -1).every((shard) => shard.tokens === 400)).toBe(true);
    expect(index).toMatchObject({ dtype: 'uint16', source: 'test 1', malformed: { count: 0, first: [] } });
    expect((await loadTokenizer(path('whole'))).hash).toBe(index.tokenizer.hash);
    data.close();
  });

  it('does nothing the second time, and gives equal bytes elsewhere', async () => {
    const first = await prepare('twice');
    let read = 0;
    const untouched = (function* () {
      read++;
      yield* documents;
    })();
    const again = await prepare('twice', { documents: untouched });
    expect(again).toEqual({ ...first, reused: true });
    expect(read).toBe(0);
    await prepare('twin');
    for (const file of sortedFiles(path('twice'))) {
      expect(readFileSync(join(path('twin'), file))).toEqual(readFileSync(join(path('twice'), file)));
    }
  });

  it.each<[string, Partial<PrepareShardsOptions>]>([
    ['another source', { sourceFingerprint: 'test 2' }],
    ['another tokenizer', { tokenizer: trainBpe(texts, { vocabularySize: 280 }) }],
    ['another split', { split: { validation: 0.1, test: 0.2 } }],
    ['another salt', { splitSalt: '2' }],
    ['another shard size', { shardTokens: 399 }],
  ])('refuses to mix with shards of %s, or replaces them when told', async (what, changes) => {
    const name = `mix ${what}`;
    const old = await prepare(name);
    await expect(prepare(name, changes)).rejects.toThrow('holds shards of another corpus, tokenizer or split');
    const { index, reused } = await prepare(name, { ...changes, replace: true });
    expect(reused).toBe(false);
    expect(index.fingerprint).not.toBe(old.index.fingerprint);
    (await openShards(path(name), { verify: 'sha256' })).close();
    expect(readdirSync(path('.')).filter((file) => file.includes(`.${name}.partial`))).toEqual([]);
  });

  it('never touches a directory that holds something else', async () => {
    mkdirSync(path('mine'));
    write('mine/thesis.txt', 'precious');
    await expect(prepare('mine', { replace: true })).rejects.toThrow('is not empty and holds no shards');
    expect(sortedFiles(path('mine'))).toEqual(['thesis.txt']);
    mkdirSync(path('empty'));
    expect((await prepare('empty')).reused).toBe(false);
  });

  it('leaves nothing behind when the documents fail', async () => {
    const failing = function* () {
      yield* documents;
      throw new Error('the network is gone');
    };
    await prepare('kept');
    await expect(prepare('failed', { documents: failing() })).rejects.toThrow('the network is gone');
    await expect(prepare('kept', { documents: failing(), sourceFingerprint: 'new', replace: true })).rejects.toThrow('gone');
    expect(existsSync(path('failed'))).toBe(false);
    await expect(prepare('new-root/below/failed', { documents: failing() })).rejects.toThrow('gone');
    expect(existsSync(path('new-root'))).toBe(false);
    expect(readdirSync(path('.')).filter((name) => name.includes('partial'))).toEqual([]);
    (await openShards(path('kept'), { verify: 'sha256' })).close();
  });

  it('clears what a killed run on this machine left, and only that', async () => {
    const gone = path(`.later.partial-${hostname()}-999999999-abcd`);
    const elsewhere = path('.later.partial-otherhost-999999999-abcd');
    mkdirSync(gone);
    mkdirSync(elsewhere);
    await prepare('later');
    expect([existsSync(gone), existsSync(elsewhere)]).toEqual([false, true]);
    rmSync(elsewhere, { recursive: true });
  });

  it('takes published splits as they are', async () => {
    const given = { train: toDocuments(['a b', 'c']), test: toDocuments(['d']) };
    const { index } = await prepare('published', { documents: given });
    expect(splitNames.map((name) => index.splits[name].documents)).toEqual([2, 0, 1]);
    await expect(prepare('no training', { documents: { test: toDocuments(['d']) } })).rejects.toThrow('no documents to train on');
  });

  it('records malformed rows and the files of a corpus', async () => {
    const file = write('corpus.jsonl', '{"text":"fine"}\nbroken\n{"text":"also"}\n{"text":"and this"}\n');
    const { index } = await prepare('rows', { documents: readDocuments(file), sourceFingerprint: await fingerprintSources(file) });
    expect(index.malformed).toMatchObject({ count: 1, first: [{ place: `${file}:2` }] });
  });

  it('knows sources by what they hold: not by name, size or time', async () => {
    const file = write('one.txt', 'aaaa');
    const [one, time] = [await fingerprintSources(file), new Date(1e12)];
    const same = write('renamed.txt', 'aaaa');
    expect(await fingerprintSources(same)).toBe(one);
    utimesSync(file, time, time);
    expect(await fingerprintSources(file)).toBe(one);
    write('one.txt', 'bbbb');
    utimesSync(file, time, time);
    expect(await fingerprintSources(file)).not.toBe(one);
    expect(await fingerprintSources([file, same])).not.toBe(await fingerprintSources([same, file]));
  });

  it('refuses a corpus that changes while it is read', async () => {
    const file = write('moving.jsonl', documents.map(({ text }) => `${JSON.stringify({ text })}\n`).join(''));
    const { fingerprint, check } = await watchFiles([{ path: file, as: 'jsonl' }]);
    await check();
    const moving = async function* () {
      yield* readDocuments(file);
      appendFileSync(file, '{"text":"more"}\n');
    };
    await expect(prepare('moving', { documents: moving(), sourceFingerprint: fingerprint, checkSources: check })).rejects.toThrow(`${file} changed while being read`);
    expect(existsSync(path('moving'))).toBe(false);
  });

  it('F28: refuses a split with nothing to predict, and leaves none of it', async () => {
    await expect(prepare('no validation', { documents: toDocuments(['only']), split: { validation: 0.1, test: 0 } })).rejects.toThrow('the validation split has 0 tokens: nothing to predict');
    await expect(prepare('no validation', { documents: { train: toDocuments(['only']) }, cut: ['test'] })).rejects.toThrow('the test split has 0 tokens');
    expect(existsSync(path('no validation'))).toBe(false);
    expect((await prepare('no validation', { documents: toDocuments(['only']), split: { validation: 0, test: 0 } })).index.splits.test.tokens).toBe(0);
  });

  it('cuts from train what is not published', async () => {
    const train = toDocuments(Array.from({ length: 100 }, (_, i) => `TRAIN ${i}`));
    const { index } = await prepare('cut', { documents: { train, test: toDocuments(['TEST']) }, cut: ['validation'] });
    const data = await openShards(path('cut'));
    const texts = (name: 'train' | 'validation' | 'test') => tokenizer.decode(readAll(data.split(name))).split('<|endoftext|>').slice(0, -1);
    expect(texts('test')).toEqual(['TEST']);
    expect([...texts('train'), ...texts('validation')].sort()).toEqual(train.map(({ text }) => text).sort());
    expect(index.splits.validation.documents).toBeGreaterThan(5);
    data.close();
  });

  it('names the place of a document that cannot be tokenised', async () => {
    const failing = { ...tokenizer, encode: (text: string) => tokenizer.encode(text.startsWith('Document 7:') ? text.repeat(2 ** 28) : text) };
    await expect(prepare('untokenised', { tokenizer: failing })).rejects.toThrow(/test, document 8: a document of \d+ characters cannot be tokenised/);
    const file = write('lines.jsonl', `\n${texts.map((text) => JSON.stringify({ text })).join('\n')}\n`);
    await expect(prepare('untokenised', { tokenizer: failing, documents: readDocuments(file) })).rejects.toThrow(`${file}:9: a document of ${texts[7].length} characters cannot be tokenised`);
    expect(existsSync(path('untokenised'))).toBe(false);
  });

  it('reports progress to the end', async () => {
    let last = { documents: 0, tokens: 0, bytes: 0 };
    const { index } = await prepare('progress', { onProgress: (progress) => (last = progress) });
    const sum = (key: 'documents' | 'tokens' | 'bytes') => splitNames.reduce((total, name) => total + index.splits[name][key], 0);
    expect(last).toEqual({ documents: sum('documents'), tokens: sum('tokens'), bytes: sum('bytes') });
  });

  it('uses 16 bits up to 65,536 ids and 32 above', async () => {
    expect((await prepare('narrow')).index.dtype).toBe('uint16');
    const specialTokens = Array.from({ length: 65_536 - 256 }, (_, i) => `<extra ${i}>`); // 65,537 ids with the end of text
    const large = trainBpe(['x'], { vocabularySize: 65_537, specialTokens });
    const { index } = await prepare('wide', { tokenizer: { ...large, endOfText: 65_536 } });
    expect(index.dtype).toBe('uint32');
    const data = await openShards(path('wide'), { verify: 'sha256' });
    expect(readAll(data.split('test')).filter((token) => token === 65_536)).toHaveLength(index.splits.test.documents);
    data.close();
  });

  it('refuses shard sizes that cannot be', async () => {
    await expect(prepare('never', { shardTokens: 0 })).rejects.toThrow('shardTokens is 0');
  });
});

describe('openShards', () => {
  it('reads any range across shards and pages, also with a cache of one page', async () => {
    await prepare('ranges', { shardTokens: 333 });
    const data = await openShards(path('ranges'), { cacheBytes: 1 });
    const train = data.split('train');
    const all = readAll(train);
    fc.assert(
      fc.property(fc.nat(train.length), fc.nat(train.length), (a, b) => {
        const [start, count] = [Math.min(a, b), Math.abs(a - b)];
        const out = new Int32Array(count + 1).fill(-7);
        train.read(start, count, out);
        expect([...out]).toEqual([...all.slice(start, start + count), -7]);
      }),
    );
    expect(() => train.read(train.length, 1, new Int32Array(1))).toThrow('read train: cannot read 1 tokens');
    expect(() => train.read(0, 2, new Int32Array(1))).toThrow('into 1 places');
    expect(() => train.read(-1, 1, new Int32Array(1))).toThrow('at -1');
    data.close();
    expect(() => train.read(0, 1, new Int32Array(1))).toThrow('was closed');
  });

  it.each<[string, (file: string) => void, RegExp]>([
    ['cut short', (file) => truncateSync(file, 100), /train-00000\.bin has 100 bytes instead of 800/],
    ['too long', (file) => appendFileSync(file, 'x'), /train-00000\.bin has 801 bytes instead of 800/],
    ['missing', (file) => rmSync(file), /train-00000\.bin is missing/],
  ])('names a shard that is %s', async (what, damage, message) => {
    const name = `damaged ${what}`;
    await prepare(name);
    damage(join(path(name), 'train-00000.bin'));
    await expect(openShards(path(name))).rejects.toThrow(message);
    await expect(prepare(name)).rejects.toThrow(/holds damaged shards/);
    expect((await prepare(name, { replace: true })).reused).toBe(false);
  });

  it('F26: finds an altered shard by its sha256, and one that shrinks while it is read', async () => {
    await prepare('altered');
    const shard = join(path('altered'), 'train-00001.bin');
    const bytes = readFileSync(shard);
    const data = await openShards(path('altered'));
    const { atime, mtime } = statSync(shard);
    writeFileSync(shard, bytes.map((byte, i) => (i === 500 ? byte ^ 1 : byte)));
    utimesSync(shard, atime, mtime);
    for (const verify of ['once', 'sha256'] as const) await expect(openShards(path('altered'), { verify })).rejects.toThrow(/train-00001\.bin was altered/);
    await expect(prepare('altered')).rejects.toThrow(/holds damaged shards: .*train-00001\.bin was altered/);
    (await openShards(path('altered'), { verify: 'size' })).close();
    truncateSync(shard, 10);
    expect(() => readAll(data.split('train'))).toThrow(/train-00001\.bin ends before token 400/);
    data.close();
  });

  it.each(['narrow ids', 'wide ids'])('F28: finds %s beyond the vocabulary, also where the sha256 is right', async (name) => {
    const wide = name === 'wide ids';
    await prepare(name, wide ? { tokenizer: { ...tokenizer, vocabularySize: 70_000 } } : {});
    const [shard, index] = [join(path(name), 'validation-00000.bin'), join(path(name), 'index.json')];
    const bytes = readFileSync(shard);
    const before = createHash('sha256').update(bytes).digest('hex');
    if (wide) bytes.writeUInt32LE(70_000, bytes.length - 4);
    else bytes.writeUInt16LE(60_000, 2);
    writeFileSync(shard, bytes);
    writeFileSync(index, readFileSync(index, 'utf8').replace(before, createHash('sha256').update(bytes).digest('hex')));
    await expect(openShards(path(name))).rejects.toThrow(wide ? 'holds the token 70000, and the vocabulary has 70000' : 'holds the token 60000, and the vocabulary has 292');
  });

  it('fingerprints what data hold: equal wherever they were made, other for one other token', async () => {
    const fingerprint = async (name: string, changes: Partial<PrepareShardsOptions> = {}) => dataFingerprint((await prepare(name, changes)).index);
    const one = await fingerprint('here');
    expect(await fingerprint('there', { sourceFingerprint: 'from elsewhere' })).toBe(one);
    const other = documents.map((document, i) => (i === 40 ? { ...document, text: document.text.replace('end', 'eNd') } : document));
    expect(await fingerprint('changed', { documents: other })).not.toBe(one);
    expect(await fingerprint('other split', { splitSalt: '2' })).not.toBe(one);
  });

  it('names what is wrong with the index', async () => {
    await expect(openShards(path('absent'))).rejects.toThrow('is not a directory of prepared shards');
    await prepare('index');
    const file = join(path('index'), 'index.json');
    const good = readFileSync(file, 'utf8');
    for (const [bad, message] of [
      [good.slice(0, -9), 'not valid JSON'],
      [good.replace('"version": 1', '"version": 2'), 'version'],
      [good.replace(/"file": "train-00000/, '"file": "../train-00000'), 'splits.train.shards.0.file'],
      [good.replace(/"tokens": 400/, '"tokens": 399'), 'splits.train: shards hold'],
    ]) {
      writeFileSync(file, bad);
      await expect(openShards(path('index'))).rejects.toThrow(message);
    }
  });
});
