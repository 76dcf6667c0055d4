// The tokenizer.json format: round trips, files of other writers, and each kind of damage named.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { createGpt2Tokenizer } from '../../src/tokenizers/gpt2.js';
import { loadTokenizer } from '../../src/tokenizers/load-tokenizer.js';
import { tokenizerFromJson, tokenizerToJson } from '../../src/tokenizers/tokenizer-json.js';
import { trainBpe } from '../../src/tokenizers/train-bpe.js';
import { expected, fixture } from './expected.js';

const directory = mkdtempSync(join(tmpdir(), 'xmoe-tokenizer-'));
afterAll(() => rmSync(directory, { recursive: true }));

const trained = trainBpe(expected.training, { vocabularySize: 320, specialTokens: ['<pad>'] });
const json = tokenizerToJson(trained);

interface Editable {
  added_tokens: { id: number; content: string; lstrip?: boolean; special?: boolean; normalized?: boolean }[];
  normalizer: unknown;
  pre_tokenizer: { type: string; add_prefix_space: boolean };
  model: { type: string; dropout: unknown; vocab: Record<string, number>; merges: unknown[] };
}

function edited(change: (file: Editable) => void): string {
  const file = JSON.parse(json) as Editable;
  change(file);
  return JSON.stringify(file);
}

describe('tokenizer.json', () => {
  it('gives back the same tokenizer', () => {
    const loaded = tokenizerFromJson(json);
    expect(loaded.hash).toBe(trained.hash);
    expect(loaded.specialTokens).toEqual(trained.specialTokens);
    for (const text of expected.texts) expect(loaded.encode(text)).toEqual(trained.encode(text));
    const gpt2 = createGpt2Tokenizer();
    expect(tokenizerFromJson(tokenizerToJson(gpt2)).hash).toBe(gpt2.hash);
  });

  it('keeps a learned token spelled __proto__', () => {
    const odd = trainBpe(['x__proto__ '.repeat(9), '__proto__ '.repeat(99)], { vocabularySize: 300 });
    expect(odd.encode('__proto__')).not.toHaveLength(9);
    expect(tokenizerFromJson(tokenizerToJson(odd)).hash).toBe(odd.hash);
  });

  it('looks for added tokens that are not special in every text, the longest first, normalized ones after the others', () => {
    // Bytes only: a is 64, b 65, c 66, the space 220; the end of text is 256. The ids are those of Hugging Face tokenizers 0.23.
    const file = JSON.parse(tokenizerToJson(trainBpe(['a b c'], { vocabularySize: 257 }))) as Editable;
    const flags = { single_word: false, lstrip: false, rstrip: false, special: false };
    const texts: [string, boolean][] = [['<tool>', true], ['<to', true], ['bc', false], ['abc', true], ['ol>', false]];
    file.added_tokens.push(...texts.map(([content, normalized], i) => ({ id: 257 + i, content, normalized, ...flags })));
    const tokenizer = tokenizerFromJson(JSON.stringify(file));
    expect([...tokenizer.encode('a <to b')]).toEqual([64, 220, 258, 220, 65]);
    expect([...tokenizer.encode('abcc')]).toEqual([64, 259, 66]); // bc is taken before abc is looked for
    expect([...tokenizer.encode('<tool>')]).toEqual([258, 261]); // so is ol>
    expect([...tokenizer.encode('<|endoftext|>').subarray(0, 2)]).toEqual([27, 91]);
    expect([...tokenizer.encode('c<|endoftext|><to', { allowSpecial: true })]).toEqual([66, 256, 258]);
    expect(tokenizer.decode(tokenizer.encode('a <tool> bc'))).toBe('a <tool> bc');
    expect([...tokenizer.specialTokens.keys()]).toEqual(['<|endoftext|>']);
    const again = tokenizerFromJson(tokenizerToJson(tokenizer));
    expect(again.hash).toBe(tokenizer.hash);
    expect(again.encode('abcc<tool>')).toEqual(tokenizer.encode('abcc<tool>'));
    expect(tokenizer.hash).not.toBe(trainBpe(['a b c'], { vocabularySize: 257 }).hash);
  });

  it('reads merges as strings and as pairs', () => {
    const pairs = edited((file) => (file.model.merges = file.model.merges.map((line) => String(line).split(' '))));
    expect(tokenizerFromJson(pairs).hash).toBe(trained.hash);
  });

  it.each<[string, (file: Editable) => void, string]>([
    ['another model', (file) => (file.model.type = 'Unigram'), 'model.type'],
    ['dropout', (file) => (file.model.dropout = 0.1), 'model.dropout'],
    ['a normalizer', (file) => (file.normalizer = { type: 'NFC' }), 'normalizer'],
    ['a prefix space', (file) => (file.pre_tokenizer.add_prefix_space = true), 'pre_tokenizer.add_prefix_space'],
    ['added tokens with more to them', (file) => (file.added_tokens[0].lstrip = true), 'added_tokens.0.lstrip'],
    ['an end of text that is not special', (file) => (file.added_tokens.find(({ content }) => content === '<|endoftext|>')!.special = false), 'or it is not special'],
    ['an added token twice', (file) => file.added_tokens.push(file.added_tokens[0]), 'twice among added_tokens'],
    ['another pre-tokenizer', (file) => (file.pre_tokenizer.type = 'Metaspace'), 'pre_tokenizer.type'],
    ['stripping tokens', (file) => (file.added_tokens[0].lstrip = true), 'added_tokens.0.lstrip'],
    ['a hole in the ids', (file) => (file.model.vocab['!'] = 5000), 'token "!" has id 5000'],
    ['an id twice', (file) => (file.model.vocab['!'] = 1), 'has id 1: ids must be 0 … 319'],
    ['a missing byte', (file) => renameToken(file, '!', '!!'), 'no token for byte 0x21'],
    ['no end of text', (file) => void file.added_tokens.shift(), 'added_tokens lacks <|endoftext|>'],
    ['two ids for a special token', (file) => (file.added_tokens[0].id = 3), '<|endoftext|> is 3 among added_tokens'],
    ['a foreign alphabet', (file) => renameToken(file, '!', '日'), 'outside the byte alphabet'],
    ['an unknown merge', (file) => (file.model.merges[4] = 'zz zz'), 'merge 4 "zz zz"'],
    ['a merge of three parts', (file) => (file.model.merges[2] = 'a b c'), 'merge 2 "a b c"'],
    ['a repeated merge', (file) => (file.model.merges[4] = file.model.merges[3]), 'merge 4'],
  ])('refuses %s', (_, change, message) => {
    expect(() => tokenizerFromJson(edited(change), 'my.json')).toThrow(message);
    expect(() => tokenizerFromJson(edited(change), 'my.json')).toThrow(/my\.json|tokenizer/);
  });

  it('refuses a file cut short', () => {
    expect(() => tokenizerFromJson(json.slice(0, -20), 'cut.json')).toThrow('cut.json: not valid JSON');
    expect(() => tokenizerFromJson('[]', 'list.json')).toThrow('list.json: the file');
  });
});

function renameToken(file: Editable, from: string, to: string): void {
  file.model.vocab[to] = file.model.vocab[from];
  delete file.model.vocab[from];
  file.model.merges = [];
}

describe('loadTokenizer', () => {
  it('takes a name, a file or a directory', async () => {
    writeFileSync(join(directory, 'tokenizer.json'), json);
    expect((await loadTokenizer('gpt2')).vocabularySize).toBe(50_257);
    expect((await loadTokenizer(join(directory, 'tokenizer.json'))).hash).toBe(trained.hash);
    expect((await loadTokenizer(directory)).hash).toBe(trained.hash);
    const published = await loadTokenizer(fixture('hugging-face.tokenizer.json'));
    expect(JSON.parse(readFileSync(fixture('hugging-face.tokenizer.json'), 'utf8'))).toHaveProperty('model.type', 'BPE');
    expect(published.endOfText).toBe(0);
  });

  it('names a path where there is none', async () => {
    await expect(loadTokenizer(join(directory, 'absent'))).rejects.toThrow('no tokenizer at');
  });
});
