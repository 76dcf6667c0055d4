// Source text reaches the model by one way: what training's scores translate is what `translate` does with the same lines, and what
// is refused is refused before a run begins.
import { existsSync, writeFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { createLineTranslator, sourceLimits, translateTexts, type Translator } from '@xmoe/models';
import { configs } from '../src/config.js';
import { prepareData } from '../src/prepare-data.js';
import { translatePairs } from '../src/validate.js';
import { EXPERTS, runHere, SMALL, smallPairs, temporaryFolder, writePairs } from './support.js';

const path = temporaryFolder();
const train = writePairs(path('train.tsv'), smallPairs(300));
const decoding = { beam: 1, lengthPenalty: 1, maxLengthRatio: 2, maxLengthExtra: 10 };

/** As a user's files hold them: no-break spaces, letters in two pieces, soft hyphens, and lines of several sentences. */
const lines = smallPairs(360).slice(300).map(([source, target], index): [string, string] => {
  const disguised = [source.replaceAll(' ', '\u00a0'), source.normalize('NFD'), source.replace(/(\w\w\w)(?=\w)/g, '$1\u00ad'), ` ${source}  ${source} ${source}\u200b`];
  return [disguised[index % 4]!, target];
});

const config = await configs.resolve({
  preset: 'tiny',
  flags: { 'vocabulary-size': '340', 'validation-pairs': '10', 'near-duplicate': '1' },
  set: ['data.maximumTokens=48', `data.files=["${train}"]`, `data.testFiles=["${writePairs(path('test.tsv'), lines)}"]`],
});
const { dataset } = await prepareData(config.data, path('data'));
afterAll(() => dataset.close());

/** Remembers what the model would be given. */
function recorder() {
  const seen: number[][] = [];
  const translator: Translator = {
    async translate(sources) {
      seen.push(...sources.map((ids) => [...ids]));
      return sources.map((ids) => [{ tokens: [...ids.subarray(0, -1)], logProbability: -1, score: -1, complete: true }]);
    },
  };
  const { tokenizer, tokens, languages } = dataset;
  return { seen, lines: createLineTranslator({ translator, tokenizer, tokens, languages, limits: sourceLimits(config) }) };
}

describe('the scores of a run', () => {
  it('are of what translate makes of the lines of a given set, split and in normal form', async () => {
    const [scored, delivered] = [recorder(), recorder()];
    const found = await translatePairs({ lines: scored.lines, dataset, split: 'test', pairs: null, ...decoding });
    const hypotheses = await translateTexts(delivered.lines, lines.map(([source]) => source), decoding);
    expect(scored.seen).toEqual(delivered.seen);
    expect(found!.hypotheses).toEqual(hypotheses);
    expect(found!.references).toEqual(lines.map(([, target]) => target));
    expect(delivered.seen.length).toBeGreaterThan(lines.length); // some were split
    expect(Math.max(...delivered.seen.map((ids) => ids.length))).toBeLessThanOrEqual(48);
  });

  it('have the loss of the same tokens', async () => {
    const { seen, lines: reader } = recorder();
    const short = lines.flatMap(([source], index) => (index % 4 < 3 ? [{ source, index }] : []));
    await translateTexts(reader, short.map(({ source }) => source), decoding);
    expect(short.map(({ index }) => [...dataset.split('test').read(index).source])).toEqual(seen);
  });
});

describe('refused before there is a run', () => {
  const long = path('long.tsv');
  const [source, target] = smallPairs(1)[0]!;
  writeFileSync(long, `${source}\t${target}\n${`${source} `.repeat(12)}\t${`${target} `.repeat(14)}\n${source}\tshort\n`);
  const learned = ['--positions', 'learned', '--context-length', '64'];
  it.each([
    ['a test pair beyond learned positions', ['--set', `data.testFiles=["${long}"]`, ...learned], /error: .*long\.tsv:2: the source has \d+ tokens, and the model takes 64 \(test split\)\n.*model\.contextLength/],
    ['a validation pair beyond them', ['--set', `data.validationFiles=["${long}"]`, ...learned], /long\.tsv:2: the source has \d+ tokens, and the model takes 64 \(validation split\)/],
    ['no test pairs', ['--test-pairs', '0'], /the test split has no pairs: nothing could be scored\n.*data\.testPairs/],
    ['no validation pairs', ['--validation-pairs', '0'], /the validation split has no pairs/],
  ])('%s', async (_, flags, message) => {
    const { code, output, messages } = await runHere('train', ...SMALL, ...EXPERTS, '--max-steps', '2', '--data', train, '--data-root', path('data'), '--out', path('dead'), ...flags);
    expect(messages).toMatch(message);
    expect({ code: code > 0, output }).toEqual({ code: true, output: '' });
    expect(existsSync(path('dead'))).toBe(false);
  });
});
