// serve of a translation run: what it translates is what translate translates, whoever asks beside. One server, as a process of its own.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { copyOldRun } from '@xmoe/testing/programs';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { createTranslateQueue, type TranslationRequest } from '../src/serve/translate-queue.js';
import { feed, startProcess, temporaryFolder, waitUntil } from './support.js';

const path = temporaryFolder();
const run = copyOldRun('nmt', path('nmt'));
// Of the same gates, by another rule.
writeFileSync(join(run, 'config.json'), readFileSync(join(run, 'config.json'), 'utf8').replace(/"router":\s*\{[^}]*\}/, '"router": { "type": "threshold", "threshold": 0.6 }'));
let url = '';
beforeAll(async () => {
  const running = startProcess('serve', run, '--backend', 'cpu:plain', '--port', '0', '--name', 'old');
  await waitUntil(running, () => /http:\S+\n/.test(running.output));
  url = /http:\S+/.exec(running.output)![0];
}, 60_000);

interface Answer {
  translations: { source: string; best: { text: string; score: number; complete: boolean }[] }[];
  error: { message: string };
}
const post = async (route: string, body: unknown): Promise<[number, Answer]> => {
  const answer = await fetch(`${url}${route}`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
  return [answer.status, await answer.json() as Answer];
};
const LINES = ['Open the file', '', 'The settings could not be saved.', 'Close'];

describe('POST /translate', () => {
  it('gives what translate gives, one text or several, and n best', async () => {
    const { output } = await feed(LINES.map((line) => `${line}\n`).join(''), 'translate', run, '--backend', 'cpu:plain', '--beam', '4', '--n-best', '2');
    const expected = output.trimEnd().split('\n').map((line) => line.split(' ||| '));
    const asked = await Promise.all([post('translate', { text: LINES, beam: 4, n_best: 2 }), ...LINES.map((text) => post('translate', { text, beam: 4, n_best: 2 }))]);
    const together = asked[0]![1].translations.map(({ best }) => best);
    expect(together.flatMap((best, index) => best.map(({ text, score }) => [String(index + 1), text, score.toFixed(4)]))).toEqual(expected);
    expect(asked.slice(1).map(([, { translations }]) => translations[0]!.best)).toEqual(together);
    expect(together[1]).toEqual([]);
  });

  it('takes no texts, and a threshold of its own', async () => {
    expect(await post('translate', { text: [] })).toEqual([200, expect.objectContaining({ translations: [] })]);
    const [[, few], [, all]] = await Promise.all([0, 1].map((threshold) => post('translate', { text: LINES[2], threshold })));
    expect(few!.translations[0]!.best[0]!.score).not.toBe(all!.translations[0]!.best[0]!.score);
  });

  it.each([
    ['an unknown model', { text: 'a', model: 'new' }, 404, 'there is "old"'],
    ['more translations than the beam keeps', { text: 'a', beam: 2, n_best: 3 }, 400, 'more than the beam of 2'],
    ['a wide beam', { text: 'a', beam: 1000 }, 400, 'beam'],
    ['no text', {}, 400, 'text'],
    ['a misspelt key', { txet: 'a' }, 400, 'did you mean "text"?'],
    ['too many texts', { text: Array.from({ length: 129 }, () => 'a') }, 400, 'text'],
    ['a sentence that is too long', { text: 'word '.repeat(3000) }, 400, 'text 0 has a sentence of'],
  ])('refuses %s', async (_, body, status, message) => {
    expect(await post('translate', body)).toEqual([status, { error: expect.objectContaining({ message: expect.stringContaining(message) }) }]);
  });

  it('says where completions and routes are', async () => {
    expect(await post('v1/completions', {})).toEqual([404, { error: expect.objectContaining({ message: expect.stringContaining('POST /translate') }) }]);
    const [status, routed] = await post('route', { text: LINES[2] });
    expect([status, routed]).toEqual([200, expect.objectContaining({ tokens: expect.arrayContaining([expect.any(String)]) })]);
    expect((await post('route', { text: ' ' }))[0]).toBe(400);
  });
});

describe('the queue', () => {
  /** Lines that record which batches they were asked for, and wait for a turn of `stopped`. */
  const lines = (batches: number[][], begun = (): void => undefined): TranslationRequest['lines'] => ({
    read: () => ({ lines: [], refused: null }),
    async translate(sources, options) {
      batches.push(sources.map(({ number }) => number));
      begun();
      for (let turns = 0; turns < 20 && !options.stopped?.(); turns++) await new Promise((resolve) => setImmediate(resolve));
      return options.stopped?.() ? [] : sources.map(({ number }) => [{ text: String(number), score: 0, complete: true }]);
    },
  });
  const decoding = { beam: 2, lengthPenalty: 1, maxLengthRatio: 2, maxLengthExtra: 5 };
  const request = (from: TranslationRequest['lines'], numbers: number[], more: Partial<TranslationRequest> = {}): TranslationRequest => ({
    lines: from, sources: numbers.map((number) => ({ number, parts: [] })), decoding, signal: new AbortController().signal, ...more,
  });

  it('puts those together that ask for the same, as many as fit, and gives each its own', async () => {
    const batches: number[][] = [];
    const [queue, from] = [createTranslateQueue(4), lines(batches)];
    const found = await Promise.all([
      request(from, [1, 2]), request(from, [3]), request(from, [4], { decoding: { ...decoding, beam: 1 } }), request(from, [5, 6]), request(from, [7]), request(from, []),
    ].map((each) => queue.translate(each)));
    expect(batches).toEqual([[1, 2, 3, 7], [4], [5, 6]]);
    expect(found.map((texts) => texts?.map(([best]) => best!.text))).toEqual([['1', '2'], ['3'], ['4'], ['5', '6'], ['7'], []]);
    await vi.waitFor(() => expect(queue.load()).toEqual({ running: 0, waiting: 0 }));
  });

  it('ends a batch that nobody waits for, and not one that somebody does', async () => {
    const batches: number[][] = [];
    const [queue, leaving] = [createTranslateQueue(4), new AbortController()];
    const from = lines(batches, () => leaving.abort());
    const gone = { signal: leaving.signal };
    const first = [request(from, [1], gone), request(from, [2])].map((each) => queue.translate(each));
    const later = [request(from, [3], { ...gone, decoding: { ...decoding, beam: 1 } })].map((each) => queue.translate(each));
    expect(await Promise.all([...first, ...later])).toEqual([null, [[expect.objectContaining({ text: '2' })]], null]);
    expect(batches).toEqual([[1, 2]]);
  });
});
