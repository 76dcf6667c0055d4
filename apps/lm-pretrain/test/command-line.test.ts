// What a user types wrong or asks about: one clear line, an exit code, and nothing left behind. And own data.
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { tryHelpPages, tryJson, tryWrongLines } from '@xmoe/testing/programs';
import { describe, expect, it } from 'vitest';
import { configs } from '../src/config.js';
import { EXPERTS, mustRun, runHere, SMALL, smallTexts, startProcess, temporaryFolder, writeCorpus } from './support.js';

const path = temporaryFolder();
const corpus = writeCorpus(path('corpus.jsonl'));
const data = ['--data', corpus, '--data-root', path('data')];

describe('mistakes', () => {
  it.each([
    [['--bacend', 'cpu'], 'unknown flag --bacend, did you mean --backend?'],
    [['--preset', 'tinny'], /"tinny".*did you mean "?tiny/],
    [['--router', 'treshold'], 'did you mean threshold?'],
    [['--backend', 'tfjs:wams'], 'did you mean tfjs:wasm?'],
    [['--backend', 'webgl'], 'there is no backend "webgl"'],
    [['--set', 'model.widht=8'], 'did you mean "width"?'],
    [['--debug', 'all-of-it'], "argument 'all-of-it' is invalid"],
    [['stray'], 'unexpected argument "stray"'],
    [['--warmup-steps', '2'], 'train.warmupSteps 2 is not less than train.steps 2: the learning rate would never be reached'],
    [['--threshold', '2'], 'moe.router.threshold: too big: expected number to be <=1, got 2'],
    [['--layers', '1000000000'], 'model.layers: too big'],
    [['--checkpoint', 'best'], '--checkpoint needs --resume'],
    [['--precision', 'float16'], 'tfjs:wasm has no float16', 71],
    [['--width', '65536'], /needs at least .*and tfjs:wasm has .*\n  what would fit: model\.width=\d+/, 71],
    [['--data', 'no-such-file.txt'], 'no-such-file.txt does not exist', 65],
    [['--context-length', '100000'], 'fewer than a window', 65],
  ] as [string[], string | RegExp, number?][])('train %j: one clear line and no run directory', async (flags, message, exitCode = 2) => {
    const out = path('dead');
    const { code, output, messages } = await runHere('train', ...SMALL, ...EXPERTS, ...data, '--max-steps', '2', '--out', out, ...flags);
    expect(code).toBe(exitCode);
    expect(output).toBe('');
    expect(messages).toMatch(message);
    expect(messages.split('\n').filter((line) => line.startsWith('error: '))).toHaveLength(1);
    expect(messages).not.toContain('    at ');
    expect(existsSync(out)).toBe(false);
  });

  it.each([
    [['trian'], 'Did you mean train?'],
    [['eval'], "missing required argument 'run'"],
    [['train', '--debug', 'nann'], 'Did you mean nan?'],
    [['convert', 'x', '--experts', '2', '--out', 'y', '--by', 'ordre'], 'Did you mean order?'],
    [['reproduce', 'tabel1'], 'did you mean "table1"?'],
    [['completion', 'bsh'], 'Did you mean bash?'],
    [['eval', 'x', '--bacend', 'cpu'], 'Did you mean --backend?'],
    [['sample', 'x', '--max-tokens', '-3'], 'expected a whole number'],
    [['sample', 'x', '--temperature', ''], 'expected a number'],
    [['eval', 'x', '--max-windows', '0'], 'expected a whole number from 1'],
    [['train', '--stop-after', '1.5'], 'expected a whole number'],
  ])('%j ends with 2', async (args, message) => {
    expect(await runHere(...args)).toMatchObject({ code: 2, output: '', messages: expect.stringContaining(message) });
  });

  it('F29: everything that is wrong is told together', async () => {
    const { code, messages } = await runHere('train', ...SMALL, ...EXPERTS, ...data, '--lerning-rate', '3', '--max-stesp', '2', '--threshold', '-1', '--heads', '0');
    expect(code).toBe(2);
    for (const part of ['unknown flag --lerning-rate, did you mean --learning-rate?', 'unknown flag --max-stesp, did you mean --max-steps?', 'threshold: too small', 'model.heads: too small']) expect(messages).toContain(part);
    const together = await runHere('train', ...SMALL, ...EXPERTS, ...data, '--every', '9', '--heads', '3', '--warmup-steps', '9', '--max-steps', '5');
    for (const part of ['moe.every 9 exceeds', 'not a multiple of model.heads 3', 'train.warmupSteps 9']) expect(together.messages).toContain(part);
  });

  it('a directory that cannot be made is named, without a stack', async () => {
    const { code, messages } = await runHere('train', ...SMALL, ...EXPERTS, ...data, '--max-steps', '2', '--out', join(corpus, 'below-a-file'));
    expect(code).toBe(74);
    expect(messages).toMatch(/error: .*below-a-file/);
    expect(messages).not.toContain('    at ');
  });
});

describe('--json', () => {
  const tiny = [...SMALL, ...EXPERTS, ...data, '--max-steps', '2', '--test-windows', '2'];
  const [run, wasm] = [path('json-run'), ['--backend', 'tfjs:wasm']];

  it('prints one document of every command, and of errors', async () => {
    await mustRun('train', ...tiny, '--out', run);
    await mustRun('train', ...SMALL, ...data, '--router', 'dense', '--test-windows', '2', '--max-steps', '1', '--warmup-steps', '0', '--out', path('json-dense'));
    const { problems, documents } = await tryJson({ runHere, mustRun }, {
      start: [...tiny, '--dry-run'],
      train: [...tiny, '--out', path('json-trained')],
      prepare: data,
      eval: [run, ...wasm, '--max-windows', '2'],
      sweep: [run, ...wasm, '--max-windows', '2'],
      import: [run, '--out', path('json-imported')],
      export: [run, path('json-folder')],
      convert: [path('json-dense'), '--experts', '2', '--out', path('json-converted')],
      tune: [run, ...wasm, '--flops', '2', '--max-windows', '1'],
      compare: [run, '--out', path('json-compared')],
      reproduce: ['table1', '--dry-run'],
      sample: [run, ...wasm, '--max-tokens', '3'],
      inspect: [run, ...wasm, '--text', 'the king'],
      serve: null, // serve.test.ts
      presets: [],
      doctor: [],
      launch: null, // starts processes: packages/distributed
      completion: ['fish'],
    });
    expect(problems).toEqual([]);
    expect(documents.train).toMatchObject({ run: path('json-trained'), completed: true, step: 2, steps: 2, summary: { steps: 2 } });
    expect(documents.sample).toMatchObject({ prompt: 'The ', tokens: 3, text: expect.any(String) });
    expect(documents.doctor!.backends).toContainEqual({ name: 'cpu:plain', works: true, text: expect.stringContaining('CPU') });
    expect(documents.start).toMatchObject({ steps: 2, config: { moe: { experts: 4 } } });
  }, 60_000);

  it.each([
    [['eval', path('nowhere')], { code: 'config', message: expect.stringContaining('holds no run'), hint: expect.any(String) }],
    [['eval', run, '--bacend', 'cpu'], { code: 'config', message: expect.stringContaining('--bacend') }],
  ])('%j is an error as a document', async (line, error) => {
    const { code, output } = await runHere(...line, '--json');
    expect({ code, document: JSON.parse(output) }).toEqual({ code: 2, document: { error } });
  });

  it('of a run whose name is nearly right there is the right one', async () => {
    expect((await runHere('eval', path('json-rnu'))).messages).toContain(`did you mean ${run}?`);
    expect((await runHere('sample', run, '--checkpoint', 'step-00000003')).messages).toContain('did you mean step-00000002?');
  });
});

describe('questions', () => {
  it('every page of help fits a screen', async () => expect(await tryHelpPages({ mustRun })).toEqual([]));

  it('every command answers --help, and refuses an unknown flag and flags without their value in one line', async () => {
    const { tried, problems } = await tryWrongLines({ runHere, mustRun }, [['train', '--learning-rate'], ['start', '--max-steps', '--router', 'dense']]);
    expect(problems).toEqual([]);
    expect(tried).toBeGreaterThan(30);
  });

  it('--version and --help answer, as a process too', async () => {
    const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string };
    expect(await runHere('--version')).toEqual({ code: 0, output: expect.stringMatching(new RegExp(`^${version}\nCPU engine: CPU, `)), messages: '' });
    const asProcess = await startProcess('train', '--help').ended;
    expect(asProcess).toMatchObject({ code: 0, messages: '' });
    for (const name of ['--preset', '--router', '--resume', '--dry-run', '--max-steps']) expect(asProcess.output).toContain(name);
    const wrong = await startProcess('train', '--preset', 'nothing-like-it').ended;
    expect(wrong).toMatchObject({ code: 2, output: '' });
  });

  it('presets lists them all', async () => {
    const { output } = await mustRun('presets');
    for (const [name, description] of await configs.presets()) expect(output).toMatch(new RegExp(`^  ${name} +${description.slice(0, 20)}`, 'm'));
  });

  it('--dry-run tells the size of every preset without training or reading data', async () => {
    for (const [name] of await configs.presets()) {
      const { output } = await mustRun('train', '--preset', name, '--dry-run', '--out', path('never'));
      expect(output, name).toMatch(/parameters +\S+ \(\d+\)\n/);
      for (const fact of ['FLOPs per token', 'memory', 'steps', 'tokens']) expect(output, name).toContain(fact);
    }
    expect(existsSync(path('never'))).toBe(false);
    const { output } = await mustRun('train', '--preset', '124m-dense', '--dry-run', '--max-steps', '10');
    expect(output).toContain('(124439808)');
    expect(output).toContain('10 of 256 sequences of 1024 tokens, 1 of warm-up'); // a tenth, as in the preset
    expect((await mustRun('train', '--preset', '323m-xmoe-64x384', '--dry-run', '--max-steps', '4000')).output).toContain('400 of warm-up');
    expect((await mustRun('train', '--preset', '323m-xmoe-64x384', '--dry-run', '--width', '12288')).output).toMatch(/this machine has \S+, what would fit: |this machine has \S+\n/);
  });
});

describe('own data', () => {
  const small = (...flags: string[]) => mustRun('train', ...SMALL, ...EXPERTS, '--test-windows', '2', '--max-steps', '1', '--warmup-steps', '0', '--data-root', path('data'), ...flags);
  const dataOf = (run: string): string => (JSON.parse(readFileSync(join(run, 'config.json'), 'utf8')) as { data: string }).data;
  const indexOf = (run: string) => JSON.parse(readFileSync(join(dataOf(run), 'index.json'), 'utf8'));

  it('text files and gzipped JSON lines with another field', async () => {
    const texts = path('texts');
    mkdirSync(texts);
    smallTexts(30).forEach((text, i) => writeFileSync(join(texts, `${i}.txt`), text));
    const packed = path('more.jsonl.gz');
    writeFileSync(packed, gzipSync(smallTexts(20).map((body) => `${JSON.stringify({ body })}\n`).join('')));
    await small('--data', texts, '--out', path('from-texts'));
    expect(Object.values(indexOf(path('from-texts')).splits as Record<string, { documents: number }>).reduce((sum, { documents }) => sum + documents, 0)).toBe(30);
    await small('--data', packed, '--text-field', 'body', '--out', path('from-packed'));
    expect(indexOf(path('from-packed')).splits.train.documents).toBeGreaterThan(5);
  });

  it('Parquet as published keeps its splits', async () => {
    const folder = path('published');
    mkdirSync(folder);
    const fixture = (part: number): string =>
      fileURLToPath(new URL(`../../../packages/text/test/data/fixtures/wikitext-0000${part}-of-00002.parquet`, import.meta.url));
    [['train-00000-of-00001', 0], ['validation-00000-of-00001', 1], ['test-00000-of-00001', 1]].forEach(([name, part]) =>
      copyFileSync(fixture(part as number), join(folder, `${name}.parquet`)));
    await small('--data', folder, '--context-length', '4', '--out', path('from-parquet'));
    const { splits } = indexOf(path('from-parquet'));
    expect(splits.test).toEqual({ ...splits.validation, shards: splits.test.shards });
    expect(splits.train.tokens).toBeGreaterThan(0);
  });

  it('malformed rows are counted and named, and refused with --strict', async () => {
    const torn = path('torn.jsonl');
    writeFileSync(torn, `${readFileSync(corpus, 'utf8')}{"text": 5}\n{"text": "cut of`);
    const { messages } = await small('--data', torn, '--out', path('from-torn'));
    expect(messages).toMatch(/2 malformed rows were left out, first .*torn\.jsonl/);
    await expect(small('--data', torn, '--strict', '--out', path('strict'))).rejects.toThrow('torn.jsonl');
    expect(existsSync(path('strict'))).toBe(false);
  });

  it('prepare does it once', async () => {
    const args = ['prepare', '--data', corpus, '--set', 'data.tokenizer.vocabularySize=270', '--out', path('shards')];
    const [first, second] = [await mustRun(...args), await mustRun(...args)];
    expect(first.output).toMatch(/^Wrote .*shards\n/);
    expect(second.output).toBe(first.output.replace('Wrote', 'Found'));
    expect(second.messages).toBe('splits: train from corpus.jsonl, validation cut from train by document (5 %), test cut from train by document (5 %)\n');
    expect(readdirSync(path('shards')).sort()).toEqual(['index.json', 'test-00000.bin', 'tokenizer.json', 'train-00000.bin', 'validation-00000.bin']);
    const other = await runHere('prepare', '--data', corpus, '--set', 'data.tokenizer.vocabularySize=271', '--out', path('shards'));
    expect(other).toMatchObject({ code: 65, messages: expect.stringContaining('holds shards of another corpus, tokenizer or split') });
  });
});
