// serve as its clients see it: OpenAI's own client, and requests that it would not send. One server, as a process of its own.
import OpenAI from 'openai';
import { copyOldRun } from '@xmoe/testing/programs';
import { beforeAll, describe, expect, it } from 'vitest';
import { mustRun, runHere, startProcess, temporaryFolder, waitUntil } from './support.js';

const path = temporaryFolder();
const run = copyOldRun('lm', path('lm'));
const SERVE = ['serve', run, '--backend', 'cpu:plain', '--port', '0', '--name', 'old', '--max-tokens', '2000'];

async function start(...flags: string[]) {
  const running = startProcess(...SERVE, ...flags);
  await waitUntil(running, () => /http:\S+\n/.test(running.output));
  return { running, url: /http:\S+/.exec(running.output)![0] };
}

let url = '';
let client: OpenAI;
beforeAll(async () => {
  ({ url } = await start());
  client = new OpenAI({ baseURL: `${url}v1`, apiKey: 'unused', maxRetries: 0 });
}, 60_000);

const post = (route: string, body: unknown) => fetch(`${url}${route}`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
const health = async () => (await fetch(`${url}health`)).json() as Promise<{ status: string; running: number; waiting: number }>;
const asSampled = { temperature: 0.8, top_p: 0.95, seed: 1, max_tokens: 12 };

describe('OpenAI’s client', () => {
  it('finds the model', async () => {
    expect((await client.models.list()).data).toEqual([expect.objectContaining({ id: 'old', object: 'model' })]);
    expect(await client.models.retrieve('old')).toMatchObject({ id: 'old' });
    await expect(client.models.retrieve('new')).rejects.toMatchObject({ status: 404, code: 'model_not_found' });
  });

  it('is given what sample gives, whole, in a stream and among others', async () => {
    const { output } = await mustRun('sample', run, '--backend', 'cpu:plain', '--max-tokens', '12', '--prompt', 'The war');
    const expected = output.slice('The war'.length, -1);
    const ask = { model: 'old', prompt: 'The war', ...asSampled };
    const whole = await client.completions.create(ask);
    expect(whole.choices).toEqual([{ index: 0, text: expected, logprobs: null, finish_reason: 'length' }]);
    expect(whole.usage).toEqual({ prompt_tokens: expect.any(Number), completion_tokens: 12, total_tokens: whole.usage!.prompt_tokens + 12 });
    const others = Promise.all([3, 40, 25].map((count, index) => client.completions.create({ model: 'old', prompt: 'of the people '.repeat(index), max_tokens: count, seed: index })));
    const parts = [];
    for await (const part of await client.completions.create({ ...ask, stream: true, stream_options: { include_usage: true } })) parts.push(part);
    expect(parts.map(({ choices: [choice] }) => choice?.text ?? '').join('')).toBe(expected);
    expect(parts.map(({ choices: [choice] }) => choice?.finish_reason).filter(Boolean)).toEqual(['length']);
    expect(parts.at(-1)).toMatchObject({ choices: [], usage: whole.usage });
    expect((await others).map(({ usage }) => usage!.completion_tokens)).toEqual([3, 40, 25]);
  });

  it('asks for several choices and prompts, with echo; token ids are prompts too', async () => {
    const { choices } = await client.completions.create({ model: 'old', prompt: ['The ', 'A '], n: 2, echo: true, ...asSampled });
    expect(choices.map(({ index, text }) => [index, text.slice(0, 2)])).toEqual([[0, 'Th'], [1, 'Th'], [2, 'A '], [3, 'A ']]);
    const single = await client.completions.create({ model: 'old', prompt: 'The ', ...asSampled });
    expect(`The ${single.choices[0]!.text}`).toBe(choices[0]!.text);
    expect(choices[1]!.text).not.toBe(choices[0]!.text);
    const ids = await client.completions.create({ model: 'old', prompt: [84, 104], max_tokens: 2 });
    expect(ids.usage!.prompt_tokens).toBe(2);
  });

  it('stops before a stop sequence, in a stream as well, and loses nothing before it', async () => {
    const ask = { model: 'old', prompt: 'The ', ...asSampled, max_tokens: 60 };
    const all = (await client.completions.create(ask)).choices[0]!.text;
    const stop = all.slice(9, 12);
    const before = all.slice(0, all.indexOf(stop));
    expect((await client.completions.create({ ...ask, stop })).choices[0]).toMatchObject({ text: before, finish_reason: 'stop' });
    let [text, end] = ['', ''];
    for await (const { choices: [choice] } of await client.completions.create({ ...ask, stop: ['\u0000never', stop], stream: true })) {
      text += choice!.text;
      end = choice!.finish_reason ?? end;
    }
    expect([text, end]).toEqual([before, 'stop']);
  });

  it('no tokens are no text; a prompt longer than the context is taken', async () => {
    expect((await client.completions.create({ model: 'old', prompt: 'The ', max_tokens: 0, echo: true })).choices[0]).toMatchObject({ text: 'The ', finish_reason: 'length' });
    expect((await client.completions.create({ model: 'old', prompt: 'war and peace '.repeat(400), max_tokens: 3, seed: 1 })).usage!.completion_tokens).toBe(3);
    expect((await client.completions.create({ model: 'old', prompt: '', max_tokens: 1 })).usage).toMatchObject({ prompt_tokens: 0 });
  });

  it('that goes away frees its place', async () => {
    const streams = await Promise.all([1, 2, 3].map(() => client.completions.create({ model: 'old', prompt: 'The ', max_tokens: 2000, stream: true })));
    expect((await health()).running).toBe(3);
    for (const stream of streams) stream.controller.abort();
    const leaving = new AbortController();
    const whole = client.completions.create({ model: 'old', prompt: 'The ', max_tokens: 2000 }, { signal: leaving.signal }).catch(() => 'gone');
    while ((await health()).running !== 1) await new Promise((resolve) => setTimeout(resolve, 5));
    leaving.abort();
    expect(await whole).toBe('gone');
    while ((await health()).running > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  });

  it.each([
    ['model: nwe', { model: 'nwe' }, 404, 'there is "old"'],
    ['max_tokens: 2001', { max_tokens: 2001 }, 400, 'at most 2000'],
    ['max_tokens: -1', { max_tokens: -1 }, 400, 'max_tokens'],
    ['max_tokens: 1.5', { max_tokens: 1.5 }, 400, 'max_tokens'],
    ['temperature: -1', { temperature: -1 }, 400, 'temperature'],
    ['top_p: 0', { top_p: 0 }, 400, 'top_p'],
    ['temprature: 1', { temprature: 1 }, 400, 'did you mean "temperature"?'],
    ['n: 33', { n: 33 }, 400, 'at most 32 texts'],
    ['stop: ', { stop: '' }, 400, 'stop'],
    ['logprobs: 3', { logprobs: 3 }, 400, 'logprobs'],
    ['best_of: 2', { best_of: 2 }, 400, 'best_of'],
    ['frequency_penalty: 0.5', { frequency_penalty: 0.5 }, 400, 'frequency_penalty'],
    ['prompt: [1e6]', { prompt: [1e6] }, 400, 'there is no token 1000000'],
    ['prompt: 7', { prompt: 7 }, 400, 'prompt'],
    ['prompt: too long', { prompt: 'x'.repeat(70_000) }, 400, 'prompt'],
    ['threshold: 2', { threshold: 2 }, 400, 'threshold'],
  ] as [string, object, number, string][])('is refused %s', async (_, wrong, status, message) => {
    const answer = await post('v1/completions', { prompt: 'The ', ...wrong });
    expect([answer.status, (await answer.json() as { error: { message: string } }).error.message]).toEqual([status, expect.stringContaining(message)]);
  });

  it('is told that there is no chat', async () => {
    await expect(client.chat.completions.create({ model: 'old', messages: [] })).rejects.toMatchObject({ status: 404, message: expect.stringContaining('/v1/completions') });
  });
});

describe('routing', () => {
  interface Routed {
    tokens: string[];
    layers: { experts: number; tokens: { experts: number[]; dropped: number[] }[] }[];
  }
  const route = async (body: object) => (await (await post('route', { text: 'The war and peace', ...body })).json()) as Routed;
  const count = ({ layers }: Routed, of: 'experts' | 'dropped') => layers.flatMap(({ tokens }) => tokens).reduce((sum, token) => sum + token[of].length, 0);

  it('follows the threshold, and shows what a capacity drops', async () => {
    const [usual, few, all, tight] = await Promise.all([route({}), route({ threshold: 0 }), route({ threshold: 1 }), route({ threshold: 1, capacity_factor: 0.5 })]);
    expect(usual!.tokens.join('')).toBe('The war and peace');
    const { length } = usual!.tokens;
    expect([count(few!, 'experts'), count(all!, 'experts'), count(all!, 'dropped')]).toEqual([length, length * all!.layers[0]!.experts, 0]);
    expect(count(tight!, 'dropped')).toBeGreaterThan(0);
  });

  it('and completions follow a threshold of their own, side by side', async () => {
    const texts = await Promise.all([undefined, 0, 1].map(async (threshold) => {
      const answer = await post('v1/completions', { prompt: 'The ', ...asSampled, max_tokens: 40, threshold });
      return (await answer.json() as { choices: [{ text: string }] }).choices[0].text;
    }));
    expect(new Set(texts).size).toBe(3);
  });
});

describe('the process', () => {
  it('ends with 0 once a stream that has begun is whole, and with the signal’s code where one is cut', async () => {
    const [ending, cutting] = await Promise.all([start(), start('--grace', '0')]);
    const streamOf = (from: string, tokens: number) => fetch(`${from}v1/completions`, {
      method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ prompt: 'The ', max_tokens: tokens, stream: true }),
    });
    const [whole, cut] = await Promise.all([streamOf(ending.url, 30), streamOf(cutting.url, 2000)]);
    ending.running.child.kill('SIGTERM');
    cutting.running.child.kill('SIGINT');
    expect(await whole.text()).toMatch(/data: \[DONE\]\n\n$/);
    expect(await cut.text()).toMatch(/data: {"error":{"message":"the server is ending[^\n]*\n\n$/);
    const [ended, wasCut] = await Promise.all([ending.running.ended, cutting.running.ended]);
    expect([ended.code, wasCut.code]).toEqual([0, 130]);
    expect(ended.messages).toContain('Answered 1 requests; 0 clients went away before\n');
    expect(wasCut.messages).toContain('1 answers were cut short');
  }, 60_000);

  it('refuses a port in use with 74, and an address of other machines without a token', async () => {
    const { port } = new URL(url);
    expect(await runHere('serve', run, '--backend', 'cpu:plain', '--port', port)).toMatchObject({ code: 74, messages: expect.stringContaining(`port ${port} of 127.0.0.1 is in use`) });
    expect(await runHere('serve', run, '--host', '0.0.0.0')).toMatchObject({ code: 2, messages: expect.stringContaining('there is no token') });
    expect(await runHere('serve', run, '--port', '65536')).toMatchObject({ code: 2, messages: expect.stringContaining('there is no port 65536') });
  });
});
