// The HTTP server of serve with toy handlers: who may ask, limits, clients that go away, and its end. Sockets are written by hand where a
// client would not send such a thing.
import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { XMoEError } from '@xmoe/core';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { checkAccessRules, type AccessRules } from '../../src/serve/access.js';
import type { Call, Handler } from '../../src/serve/call.js';
import { openHttpServer, type HttpServer } from '../../src/serve/http-server.js';

const ACCESS: AccessRules = { host: '127.0.0.1', token: undefined, allowedHosts: ['models.example.org'], allowedOrigins: ['https://friend.example.org'] };
const servers: HttpServer[] = [];
afterEach(() => Promise.all(servers.splice(0).map((server) => server.close(0))));

interface Answer {
  error: { message: string };
}

/** What handlers saw. */
interface Seen {
  calls: number;
  aborted: number;
}

async function open({ access = {}, mostCalls = 4, ...more }: { access?: Partial<AccessRules>; mostCalls?: number; [route: `POST ${string}`]: Handler } = {}) {
  const seen: Seen = { calls: 0, aborted: 0 };
  const faults: unknown[] = [];
  const wait: Handler = async (call) => {
    seen.calls++;
    await new Promise((resolve) => call.signal.addEventListener('abort', resolve));
    seen.aborted++;
  };
  const server = await openHttpServer({
    access: { ...ACCESS, ...access }, port: 0, mostCalls, onFault: (error) => faults.push(error),
    routes: {
      open: { 'GET /': (call) => call.text('text/html', '<p>page</p>') },
      guarded: {
        'GET /thing/*': (call) => call.json({ rest: call.rest }),
        'POST /echo': async (call) => call.json(await call.body(z.strictObject({ text: z.string() }))),
        'POST /wait': wait,
        'POST /fault': () => { throw new TypeError('secret inside'); },
        'POST /refused': () => { throw new XMoEError('value', 'no such thing', { hint: 'name another' }); },
        ...more as Record<string, Handler>,
      },
    },
  });
  servers.push(server);
  return { server, url: server.url, port: Number(new URL(server.url).port), seen, faults };
}

const post = (url: string, body: unknown, headers: Record<string, string> = {}, signal?: AbortSignal) =>
  fetch(url, { method: 'POST', headers: { 'Content-Type': 'application/json', ...headers }, body: typeof body === 'string' ? body : JSON.stringify(body), ...(signal ? { signal } : {}) });

/** Sends bytes, and resolves with all that comes until the connection ends. */
function raw(port: number, text: string, use: (socket: Socket) => void = () => undefined): Promise<string> {
  return new Promise((resolve) => {
    let got = '';
    const socket = connect(port, '127.0.0.1', () => {
      socket.write(text);
      use(socket);
    });
    socket.on('data', (data) => (got += data.toString()));
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(got));
  });
}

describe('who may ask', () => {
  /** The status of a request with these headers: fetch would not send them. */
  const statusWith = (port: number, headers: Record<string, string>, method = 'GET'): Promise<[number, Record<string, unknown>]> => new Promise((resolve, reject) => {
    request({ port, method, path: '/thing/a', headers, host: '127.0.0.1' }, (response) => {
      response.resume();
      resolve([response.statusCode!, response.headers]);
    }).on('error', reject).end();
  });

  it.each([
    ['127.0.0.1:1', 200], ['localhost', 200], ['[::1]:80', 200], ['192.168.3.4', 200], ['models.example.org:8080', 200],
    // A name that its owner resolves to 127.0.0.1.
    ['evil.example.com', 403], ['127.0.0.1.evil.example.com', 403], ['localhost.evil.example.com', 403], ['evil.example.com/?127.0.0.1', 403], ['user@localhost', 403],
  ])('Host %s: %i', async (host, status) => {
    const { port } = await open();
    expect((await statusWith(port, { Host: host }))[0]).toBe(status);
  });

  it.each([
    [{}, 200, undefined],
    [{ Origin: 'http://localhost:99', Host: 'localhost:99' }, 200, undefined],
    [{ Origin: 'https://friend.example.org' }, 200, 'https://friend.example.org'],
    [{ Origin: 'https://evil.example.com' }, 403, undefined],
    [{ Origin: 'null' }, 403, undefined],
    [{ Origin: 'http://localhost:1', Host: 'localhost:2' }, 403, undefined],
    [{ 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'no-cors' }, 403, undefined],
    [{ 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'navigate' }, 200, undefined],
  ] as [Record<string, string>, number, string | undefined][])('%j: %i, and CORS for %s', async (headers, status, allowed) => {
    const { port } = await open();
    const [found, answered] = await statusWith(port, headers);
    expect([found, answered['access-control-allow-origin']]).toEqual([status, allowed]);
    expect((await statusWith(port, headers, 'OPTIONS'))[0]).toBe(status === 200 ? 204 : status);
  });

  it('asks for the token everywhere but on the page', async () => {
    const { url } = await open({ access: { token: 'correct-horse' } });
    const asked = async (authorization?: string) => (await fetch(`${url}thing/a`, { headers: authorization === undefined ? {} : { Authorization: authorization } })).status;
    expect(await Promise.all([undefined, 'Bearer wrong-horse', 'Basic correct-horse', 'Bearer correct-horse', 'bearer correct-horse'].map(asked))).toEqual([401, 401, 401, 200, 200]);
    expect((await fetch(url)).status).toBe(200);
  });

  it('an address of other machines needs a token, and origins are named one by one', () => {
    const check = (rules: Partial<AccessRules>) => () => checkAccessRules({ ...ACCESS, ...rules });
    for (const host of ['0.0.0.0', '::', '10.0.0.1', 'example.org']) expect(check({ host })).toThrow(`${host} is reached from other machines, and there is no token`);
    for (const host of ['127.0.0.1', '127.8.8.8', '::1', 'localhost']) expect(check({ host })).not.toThrow();
    expect(check({ host: '0.0.0.0', token: 'correct-horse' })).not.toThrow();
    expect(check({ token: 'short' })).toThrow('shorter than 8');
    for (const origin of ['*', 'https://a.example.org/', 'a.example.org', 'file://']) expect(check({ allowedOrigins: [origin] })).toThrow('is no origin');
  });
});

describe('what is asked', () => {
  it('answers, HEAD as well, and names what there is', async () => {
    const { url } = await open();
    expect(await (await post(`${url}echo`, { text: 'été' })).json()).toEqual({ text: 'été' });
    expect(await (await fetch(`${url}thing/a%2Fb?c=1`)).json()).toEqual({ rest: 'a/b' });
    const head = await fetch(url, { method: 'HEAD' });
    expect([head.status, head.headers.get('content-length'), await head.text()]).toEqual([200, '11', '']);
    const missing = await fetch(`${url}nothing`);
    expect([missing.status, (await missing.json() as Answer).error.message]).toEqual([404, expect.stringContaining('POST /echo')]);
    const wrong = await fetch(`${url}echo`);
    expect([wrong.status, wrong.headers.get('allow')]).toEqual([405, 'POST, OPTIONS']);
  });

  it.each([
    ['cut off', '{"text": ', 400, 'not valid JSON'],
    ['empty', '', 400, 'not valid JSON'],
    ['with a key twice', '{"text": "a", "text": "b"}', 400, 'text'],
    ['with a misspelt key', '{"txet": "a"}', 400, 'did you mean "text"?'],
    ['with NaN', '{"text": NaN}', 400, 'not valid JSON'],
    ['nested deeply', `{"text": ${'['.repeat(100_000)}${']'.repeat(100_000)}}`, 400, 'more than 256 levels'],
    ['too large', JSON.stringify({ text: 'x'.repeat(1 << 20) }), 413, 'more than 1048576 bytes'],
  ])('a body %s is refused', async (_, body, status, message) => {
    const { url, faults } = await open();
    const answer = await post(`${url}echo`, body);
    expect([answer.status, (await answer.json() as Answer).error]).toEqual([status, { message: expect.stringContaining(message), type: 'invalid_request_error', param: null, code: null }]);
    expect(faults).toEqual([]);
  });

  it('takes no body that is something else, not UTF-8, or larger than it says', async () => {
    const { url, port } = await open();
    expect((await post(`${url}echo`, '{"text":"a"}', { 'Content-Type': 'text/plain' })).status).toBe(415);
    expect((await post(`${url}echo`, '{"text":"a"}', { 'Content-Encoding': 'gzip' })).status).toBe(415);
    const head = 'POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n';
    expect(await raw(port, `${head}Content-Length: 3\r\n\r\n`, (socket) => socket.write(Buffer.of(0x22, 0xff, 0x22)))).toMatch(/^HTTP\/1\.1 400 [^]*not UTF-8/);
    const endless = await raw(port, `${head}Transfer-Encoding: chunked\r\n\r\n`, (socket) => {
      const chunk = `10000\r\n${'a'.repeat(65_536)}\r\n`;
      for (let count = 0; count < 20; count++) socket.write(chunk);
    });
    expect(endless).toMatch(/^HTTP\/1\.1 413 /);
    expect(await raw(port, 'nonsense\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /);
  });

  it('tells errors of a handler, but not the inside of the program', async () => {
    const { url, faults } = await open();
    expect(await (await post(`${url}refused`, {})).json()).toEqual({ error: { message: 'no such thing (name another)', type: 'invalid_request_error', param: null, code: null } });
    const fault = await post(`${url}fault`, {});
    expect([fault.status, await fault.text()]).toEqual([500, expect.not.stringContaining('secret')]);
    expect(faults).toEqual([expect.objectContaining({ message: 'secret inside' })]);
  });
});

describe('clients', () => {
  const HEAD = 'POST /wait HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}';

  it('more than there is room for are told to come again, until others go', async () => {
    const { url, seen } = await open({ mostCalls: 2 });
    const leaving = new AbortController();
    const waiting = [1, 2].map(() => post(`${url}wait`, {}, {}, leaving.signal).catch(() => undefined));
    await vi.waitFor(() => expect(seen.calls).toBe(2));
    const refused = await post(`${url}echo`, { text: '' });
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1']);
    expect((await fetch(url)).status).toBe(200);
    leaving.abort();
    await Promise.all(waiting);
    await vi.waitFor(() => expect(seen.aborted).toBe(2));
    expect((await post(`${url}echo`, { text: '' })).status).toBe(200);
  });

  it.each([
    ['that breaks off', (socket: Socket) => socket.destroy()],
    ['that resets', (socket: Socket) => socket.resetAndDestroy()],
    ['that ends its side', (socket: Socket) => socket.end()],
  ])('one %s frees its place', async (_, leave) => {
    const { port, seen, server } = await open();
    await raw(port, HEAD, (socket) => void vi.waitFor(() => expect(seen.calls).toBe(1)).then(() => leave(socket)));
    await vi.waitFor(() => expect(seen.aborted).toBe(1));
    expect(server.counts()).toEqual({ answered: 0, gone: 1 });
  });

  it('one that goes away within its body is no fault', async () => {
    const { port, faults, server } = await open();
    await raw(port, HEAD.replace('/wait', '/echo').replace('Length: 2', 'Length: 20'), (socket) => void sleep(20).then(() => socket.destroy()));
    await vi.waitFor(() => expect(server.counts().gone).toBe(1));
    expect(faults).toEqual([]);
  });

  it('one that does not read its stream is dropped before it fills the memory', async () => {
    let sent = 0;
    const flood: Handler = async (call) => {
      const stream = call.stream();
      for (; !call.signal.aborted && sent < 1e5; sent++) {
        stream.send({ text: 'x'.repeat(4000) });
        if (sent % 100 === 0) await sleep(1);
      }
      stream.end();
    };
    const { port, server } = await open({ 'POST /flood': flood });
    const unread = new Promise<Socket>((resolve) => void raw(port, HEAD.replace('/wait', '/flood'), (socket) => resolve(socket.pause())));
    await vi.waitFor(() => expect(server.counts().gone).toBe(1));
    expect(sent).toBeLessThan(20_000);
    (await unread).destroy();
  });
});

describe('the end', () => {
  const slow = (ms: number): Handler => async (call: Call) => {
    const stream = call.stream();
    stream.send({ part: 1 });
    await Promise.race([sleep(ms), new Promise((resolve) => call.signal.addEventListener('abort', resolve))]);
    if (call.signal.aborted) throw new XMoEError('busy', 'the server is ending');
    stream.send('[DONE]');
    stream.end();
  };

  it('lets what has begun end, and takes nothing new, on connections kept alive as well', async () => {
    const { url, server } = await open({ 'POST /slow': slow(150) });
    expect((await post(`${url}echo`, { text: '' })).status).toBe(200); // its connection stays
    const answer = await post(`${url}slow`, {});
    const closed = server.close(30);
    expect(await answer.text()).toBe('data: {"part":1}\n\ndata: [DONE]\n\n');
    expect(await closed).toBe(0);
    await expect(fetch(url)).rejects.toThrow();
  });

  it('cuts what takes longer than the grace, and says so in the stream', async () => {
    const { url, server } = await open({ 'POST /slow': slow(60_000) });
    const answer = await post(`${url}slow`, {});
    const closed = server.close(0.05);
    expect(await answer.text()).toMatch(/^data: {"part":1}\n\ndata: {"error":{"message":"the server is ending"/);
    expect(await closed).toBe(1);
  });

  it('a port in use, and one that is none of this machine’s, are named', async () => {
    const { port } = await open();
    const opening = (host: string) => openHttpServer({ access: { ...ACCESS, host }, port, mostCalls: 1, onFault: () => undefined, routes: { open: {}, guarded: {} } });
    await expect(opening('127.0.0.1')).rejects.toThrow(`port ${port} of 127.0.0.1 is in use`);
    await expect(opening('203.0.113.7')).rejects.toThrow('cannot listen on 203.0.113.7');
  });
});
