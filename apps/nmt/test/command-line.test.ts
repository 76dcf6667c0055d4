// What a user types or gives wrong: one clear line, an exit code, and nothing left behind. Dry runs and questions.
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { tryHelpPages, tryJson, tryWrongLines } from '@xmoe/testing/programs';
import { describe, expect, it } from 'vitest';
import { configs } from '../src/config.js';
import { EXPERTS, feed, mustRun, runHere, SMALL, smallPairs, startProcess, temporaryFolder, writePairs } from './support.js';

const path = temporaryFolder();
const pairs = writePairs(path('pairs.tsv'));
const train = (...flags: string[]) => runHere('train', ...SMALL, ...EXPERTS, '--max-steps', '2', '--data-root', path('data'), '--out', path('dead'), ...flags);

/** A file with these bytes. */
function file(name: string, content: string | Uint8Array): string {
  writeFileSync(path(name), content);
  return path(name);
}
const lines = (count: number, side: 0 | 1): string => smallPairs(count).map((pair) => `${pair[side]}\n`).join('');

describe('bad input: one error, no run directory, nothing half-prepared', () => {
  it.each([
    ['unaligned files', () => ['--data', `${file('a.de', lines(30, 0))}::${file('a.en', lines(29, 1))}`], /not aligned: .*a\.de has 30 lines and .*a\.en has 29/],
    ['a wrong encoding', () => ['--data', `${file('b.de', Buffer.from(lines(30, 0), 'latin1'))}::${file('b.en', lines(30, 1))}`], /b\.de is not UTF-8: byte \d+/],
    ['an empty file', () => ['--data', file('c.tsv', '')], /c\.tsv holds no pairs/],
    ['an empty side, with --strict', () => ['--strict', '--data', file('d.tsv', `${smallPairs(30).map((pair) => pair.join('\t')).join('\n')}\nHaus\t\n`)], /d\.tsv:31/],
    ['a file that is not there', () => ['--data', path('none.tsv')], /none\.tsv/],
    ['a language without a pack', () => ['--source', 'uk'], /there is no language pack for "uk"/, [2, 65]],
    ['a language without a BLEU tokenizer', () => ['--data', pairs, '--target', 'qq'], /no tokenizer is known for the language code "qq"/, [2]],
    ['a tokenizer without the special tokens', () => ['--data', pairs, '--set', `data.tokenizer=${JSON.stringify({ type: 'file', path: 'gpt2' })}`], /no special token <\|padding\|>/],
    ['too few pairs', () => ['--data', file('e.tsv', 'Haus\thouse\n')], /pair/],
  ] as [string, () => string[], RegExp, number[]?][])('%s', async (_, flags, message, codes = [65]) => {
    const before = existsSync(path('data')) ? readdirSync(path('data'), { recursive: true }).map(String).sort() : [];
    const { code, output, messages } = await train(...flags());
    expect(codes).toContain(code);
    expect(output).toBe('');
    expect(messages).toMatch(message);
    expect(messages.split('\n').filter((line) => line.startsWith('error: '))).toHaveLength(1);
    expect(messages).not.toContain('    at ');
    expect(existsSync(path('dead'))).toBe(false);
    const left = existsSync(path('data')) ? readdirSync(path('data'), { recursive: true }).map(String).sort() : [];
    expect(left.filter((name) => /\.(bin|json|jsonl|tsv)$|temporary/.test(name))).toEqual(before.filter((name) => /\.(bin|json|jsonl|tsv)$|temporary/.test(name)));
  });

  it.each([
    [['--bacend', 'cpu'], 'unknown flag --bacend, did you mean --backend?'],
    [['--preset', 'tinny'], 'did you mean "tiny"'],
    [['--router', 'treshold'], 'did you mean threshold?'],
    [['--side', 'encodr'], 'did you mean "encoder"?'],
  ])('%j', async (flags, message) => {
    expect(await train('--data', pairs, ...flags)).toMatchObject({ code: 2, output: '', messages: expect.stringContaining(message) });
    expect(existsSync(path('dead'))).toBe(false);
  });

  it.each([
    [['trian'], "unknown command 'trian'"],
    [['translate'], "missing required argument 'run'"],
    [['translate', 'x', '--n-best', '0'], 'expected a whole number from 1'],
    [['eval', 'x', '--length-penalty', 'long'], 'expected a number'],
  ])('%j ends with 2', async (args, message) => {
    expect(await runHere(...args)).toMatchObject({ code: 2, output: '', messages: expect.stringContaining(message) });
  });

  it('a directory without a run is named', async () => {
    for (const command of ['translate', 'eval', 'inspect']) expect(await runHere(command, path('none'))).toMatchObject({ code: 2, output: '', messages: expect.stringContaining('none holds no run') });
  });
});

describe('--json', () => {
  it('prints one document of every command', async () => {
    const tiny = [...SMALL, ...EXPERTS, '--data', pairs, '--data-root', path('data'), '--max-steps', '2'];
    const [run, cpu] = [path('json-run'), ['--backend', 'cpu:wasm']];
    const { output } = await runHere('train', ...tiny, '--out', run, '--json');
    expect(JSON.parse(output)).toMatchObject({ run, completed: true, step: 2, summary: { languages: 'de-en', steps: 2 } });
    const { problems, documents } = await tryJson({ runHere, mustRun }, {
      demo: [...tiny, '--dry-run'],
      train: [...tiny, '--dry-run'],
      prepare: ['--data', pairs, '--data-root', path('data'), '--vocabulary-size', '340', '--validation-pairs', '20', '--test-pairs', '30', '--near-duplicate', '1', '--set', 'data.maximumTokens=48'],
      translate: [run, ...cpu], // of an empty input
      eval: [run, ...cpu, '--max-pairs', '2'],
      inspect: [run, ...cpu, '--text', 'Das Haus.'],
      sweep: ['--vary', 'threshold=0.5,1', ...tiny, '--dry-run'],
      compare: [run, '--out', path('json-compared')],
      serve: null, // serve.test.ts
      reproduce: ['all', '--dry-run'],
      presets: [],
      doctor: [],
      launch: null, // starts processes: packages/distributed
      completion: ['bash'],
    });
    expect(problems).toEqual([]);
    expect(documents.translate).toMatchObject({ translations: [] });
    const fed = await feed('Das Haus.\n\n', 'translate', run, ...cpu, '--json');
    expect(JSON.parse(fed.output).translations).toEqual([{ line: 1, best: [expect.objectContaining({ text: expect.any(String), score: expect.any(Number) })] }, { line: 2, best: expect.any(Array) }]);
  }, 60_000);
});

describe('questions', () => {
  it('every page of help fits a screen', async () => expect(await tryHelpPages({ mustRun })).toEqual([]));

  it('every command answers --help, and refuses an unknown flag and flags without their value in one line', async () => {
    const { tried, problems } = await tryWrongLines({ runHere, mustRun }, [['train', '--learning-rate'], ['demo', '--max-steps', '--router', 'dense']]);
    expect(problems).toEqual([]);
    expect(tried).toBeGreaterThan(30);
  });

  it('--version, --help and doctor answer, as a process too', async () => {
    expect(await runHere('--version')).toMatchObject({ code: 0, output: expect.stringMatching(/^\d+\.\d+\.\d+\nCPU engine: /) });
    expect((await mustRun('doctor')).output).toMatch(/^xmoe-nmt \d/);
    const help = await startProcess('demo', '--help').ended;
    expect(help).toMatchObject({ code: 0, messages: '' });
    for (const name of ['--source ru', '--preset', '--data', '--resume']) expect(help.output).toContain(name);
  });

  it('presets lists them, and --dry-run tells the size of each without data', async () => {
    const { output } = await mustRun('presets');
    for (const [name, description] of await configs.presets()) {
      expect(output).toMatch(new RegExp(`^  ${name} +${description.slice(0, 15)}`, 'm'));
      const dry = (await mustRun('train', '--preset', name, '--dry-run', '--out', path('never'))).output;
      for (const fact of ['parameters', 'FLOPs per pair of tokens', 'memory', 'steps', 'tokens']) expect(dry, name).toContain(fact);
    }
    expect(existsSync(path('never'))).toBe(false);
    const { output: dense } = await mustRun('train', '--preset', 'paper-dense', '--dry-run', '--max-steps', '10');
    expect(dense).toContain('(95822848)');
    expect(dense).toContain('(479920128) forward and backward');
    expect(dense).toContain('10 of about 1.00M target tokens, in micro-batches of at most 16384');
  });

  it('prepare says what it made, and finds it again', async () => {
    const args = ['prepare', '--data', pairs, '--vocabulary-size', '320', '--validation-pairs', '10', '--test-pairs', '10', '--data-root', path('prepared')];
    const [first, second] = [await mustRun(...args), await mustRun(...args)];
    expect(first.output).toMatch(/made +shards/);
    expect(second.output).toMatch(/found +shards/);
    expect(second.output).toContain('Vocabulary of 320 tokens');
  });
});
