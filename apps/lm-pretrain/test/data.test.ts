// What text a run learns from: cut, named and checked before its first step, and the same text when it goes on. The rules of names and
// spans themselves are tested in @xmoe/train.
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadTokenizer, openShards } from '@xmoe/text/node';
import { EXPERTS, fingerprint, lastStep, mustRun, runHere, SMALL, smallTexts, temporaryFolder, writeCorpus } from './support.js';

const path = temporaryFolder();
const flags = [...SMALL, ...EXPERTS, '--data-root', path('data')];
const train = (out: string, ...more: string[]) => runHere('train', ...flags, '--out', path(out), ...more);
const summaryOf = (out: string): Record<string, unknown> => JSON.parse(readFileSync(path(out, 'summary.json'), 'utf8')) as Record<string, unknown>;
const dataOf = (out: string): string => (JSON.parse(readFileSync(path(out, 'config.json'), 'utf8')) as { data: string }).data;

describe('a plain text file', () => {
  const novel = path('novel.txt');
  beforeAll(() => writeFileSync(novel, smallTexts(60).join('\n')));

  it('is cut into spans and trains to its scores', async () => {
    const { code, messages } = await train('novel', '--data', novel, '--max-steps', '4', '--eval-every', '2');
    expect(code).toBe(0);
    expect(messages).toContain('splits: train from novel.txt (one document, cut into spans: the first 80 %), validation the next 10 %, test the last 10 %\n');
    expect(messages).toMatch(/step 4: validation loss/);
    expect(summaryOf('novel')).toMatchObject({ steps: 4, testTokens: 320, testPerplexity: expect.any(Number) });
  });

  it('trains without what has a share of 0, and says that nothing is scored', async () => {
    const { code, output, messages } = await train('unscored', '--data', novel, '--max-steps', '4', '--eval-every', '2', '--validation-fraction', '0', '--test-fraction', '0');
    expect(code).toBe(0);
    expect(messages).toContain('splits: train from novel.txt, no validation, no test\n');
    expect(messages).not.toContain('validation loss');
    expect(output).toContain('No test perplexity: the data have no test split (data.testFraction is 0)\n');
    expect(Object.keys(summaryOf('unscored')).filter((key) => key.includes('erplexity'))).toEqual([]);
    expect(existsSync(path('unscored', 'report.html'))).toBe(true);
    expect(await runHere('eval', path('unscored'))).toMatchObject({ output: '', messages: expect.stringContaining('the test split has 0 tokens') });
    expect(await runHere('inspect', path('unscored'))).toMatchObject({ output: '', messages: expect.stringContaining('no test split to take a text from') });
    expect((await mustRun('eval', path('unscored'), '--split', 'train', '--max-windows', '2')).output).toContain('train split');
  });

  it.each(['train', 'prepare'])('F28: too short for its splits is refused by %s before anything is there', async (command) => {
    writeFileSync(path('word.txt'), 'hello\n');
    const out = path(`short-${command}`);
    const { code, messages } = await runHere(command, ...(command === 'train' ? SMALL : []), '--data', path('word.txt'), '--data-root', path('short-data'), '--out', out);
    expect(code).not.toBe(0);
    expect(messages).toMatch(/error: .*the validation split has 0 tokens: nothing to predict\n.*a share of 0 trains without this split/);
    expect([existsSync(out), existsSync(path('short-data'))]).toEqual([false, false]);
  });

  it('with a split below a window is warned of', async () => {
    writeFileSync(path('short.txt'), smallTexts(3).join('\n'));
    const { messages } = await mustRun('prepare', '--data', path('short.txt'), '--data-root', path('data'), '--context-length', '64', '--set', 'data.tokenizer.vocabularySize=280');
    expect(messages).toMatch(/warning: the test split has \d+ tokens, less than a window of 64: its perplexity says little/);
  });
});

it('named splits stay, what is missing is cut, strangers are left out: in the shards', async () => {
  const folder = path('named');
  mkdirSync(join(folder, 'plain_text'), { recursive: true });
  const rows = (mark: string): string => Array.from({ length: 40 }, (_, i) => `${JSON.stringify({ text: `${mark} ${i} ${smallTexts(1)[0]}` })}\n`).join('');
  writeFileSync(join(folder, 'README.md'), '# CARD\n');
  writeFileSync(join(folder, 'plain_text', 'Stories-train.jsonl'), rows('TRAIN'));
  writeFileSync(join(folder, 'plain_text', 'Stories-val.jsonl'), rows('VAL'));
  const { messages } = await mustRun('prepare', '--data', folder, '--out', path('named-shards'), '--set', 'data.tokenizer.vocabularySize=280');
  expect(messages).toContain('splits: train from plain_text/Stories-train.jsonl, validation from plain_text/Stories-val.jsonl, test cut from train by document (5 %); left out: README.md\n');
  const data = await openShards(path('named-shards'));
  const tokenizer = await loadTokenizer(path('named-shards'));
  const marks = (['train', 'validation', 'test'] as const).map((name) => {
    const split = data.split(name);
    const tokens = new Int32Array(split.length);
    split.read(0, tokens.length, tokens);
    return [...new Set(tokenizer.decode(tokens).match(/TRAIN|VAL|CARD/g))];
  });
  data.close();
  expect(marks).toEqual([['TRAIN'], ['VAL'], ['TRAIN']]);
});

it('another corpus of the same name, size and time is not taken for the first', async () => {
  const prepared = async (text: string): Promise<string> => {
    writeFileSync(path('corpus.txt'), text);
    utimesSync(path('corpus.txt'), 1e9, 1e9);
    return (await mustRun('prepare', '--data', path('corpus.txt'), '--data-root', path('cache'), '--set', 'data.tokenizer.vocabularySize=280')).output.split('\n')[0]!;
  };
  const text = smallTexts(40).join('\n');
  const first = await prepared(text);
  expect(first).toMatch(/^Wrote /);
  expect(await prepared(text)).toBe(first.replace('Wrote', 'Found'));
  const second = await prepared(text.replaceAll('king', 'lake'));
  expect(second).toMatch(/^Wrote /);
  expect(second).not.toBe(first);
});

describe('going on', () => {
  const corpus = writeCorpus(path('corpus.jsonl'));
  beforeAll(() => mustRun('train', ...flags, '--data', corpus, '--max-steps', '12', '--stop-after', '6', '--out', path('begun')));

  /** A copy of the stopped run with data of its own, changed by `change`. */
  function copied(name: string, change: (data: string) => void): string {
    const [run, data] = [path(name), path(`${name}-data`)];
    cpSync(path('begun'), run, { recursive: true });
    cpSync(dataOf('begun'), data, { recursive: true });
    const config = JSON.parse(readFileSync(join(run, 'config.json'), 'utf8')) as object;
    writeFileSync(join(run, 'config.json'), JSON.stringify({ ...config, data }));
    change(data);
    return run;
  }
  const swapTwo = (data: string): void => {
    const shard = join(data, 'train-00000.bin');
    const tokens = readFileSync(shard);
    for (let at = 0; ; at += 2) {
      const [one, two] = [tokens.readUInt16LE(at), tokens.readUInt16LE(at + 2)];
      if (one === two) continue;
      tokens.writeUInt16LE(two, at);
      tokens.writeUInt16LE(one, at + 2);
      return writeFileSync(shard, tokens);
    }
  };
  const resealed = (data: string): void => {
    const sha256 = (): string => createHash('sha256').update(readFileSync(join(data, 'train-00000.bin'))).digest('hex');
    const before = sha256();
    swapTwo(data);
    writeFileSync(join(data, 'index.json'), readFileSync(join(data, 'index.json'), 'utf8').replace(before, sha256()));
  };

  it('is the same with a copy of the data', async () => {
    const run = copied('same', () => undefined);
    await mustRun('train', '--resume', '--out', run);
    await mustRun('train', ...flags, '--data', corpus, '--max-steps', '12', '--out', path('uninterrupted'));
    expect(fingerprint(run)).toEqual(fingerprint(path('uninterrupted')));
  });

  it('F26: refuses a shard that was altered meanwhile, by name', async () => {
    const run = copied('altered', swapTwo);
    const { code, messages } = await runHere('train', '--resume', '--out', run);
    expect(code).not.toBe(0);
    expect(messages).toMatch(/error: .*train-00000\.bin was altered: its sha256 is not that of the index/);
    expect(lastStep(run)).toBe(6);
  });

  it.each(['train --resume --out', 'eval'])('F26: %s refuses other data of as many tokens, with both fingerprints', async (command) => {
    const run = copied(`other-${command.slice(0, 4)}`, resealed);
    const { code, messages } = await runHere(...command.split(' '), run);
    expect(code).not.toBe(0);
    expect(messages).toMatch(/error: .*step-00000006 was trained on other data: their fingerprint is [0-9a-f]{16}, and that of .*-data is [0-9a-f]{16}/);
    expect(readdirSync(join(run, 'checkpoints')).filter((name) => name.startsWith('step-'))).toEqual(['step-00000006']);
  });

  it('F26: refuses the corpus of today where the shards are gone and it has changed', async () => {
    const run = copied('gone', () => undefined);
    const config = JSON.parse(readFileSync(join(run, 'config.json'), 'utf8')) as { config: { data: { files: string[] } } };
    const changed = path('changed.jsonl');
    writeFileSync(changed, readFileSync(corpus, 'utf8').replace('king', 'ring'));
    config.config.data.files = [changed];
    writeFileSync(join(run, 'config.json'), JSON.stringify({ ...config, data: path('nowhere') }));
    const { code, messages } = await runHere('train', '--resume', '--out', run, '--data-root', path('data'));
    expect(code).not.toBe(0);
    expect(messages).toMatch(/error: .*(was trained on other data|tokenizer is not the one|another configuration)/);
  });
});
