// An HTTP server of routes with limits: who may ask, how much, how many at once, and an end at which no answer is cut that can be given in
// time. Knows no model and no protocol above HTTP.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { XMoEError } from '@xmoe/core';
import { checkSite, checkToken, type AccessRules } from './access.js';
import { answerError, createCall, type Handler } from './call.js';
import { Refusal } from './refusal.js';

/** `GET /path` → handler. A path that ends in `*` takes whatever follows. Those of `open` ask for no token. */
export interface Routes {
  readonly open: Readonly<Record<string, Handler>>;
  readonly guarded: Readonly<Record<string, Handler>>;
}

export interface HttpServerOptions {
  readonly routes: Routes;
  readonly access: AccessRules;
  readonly port: number;
  /** POST requests that are answered or wait at once; more are told to come again. */
  readonly mostCalls: number;
  /** Told of errors that are faults of the program. */
  readonly onFault: (error: unknown) => void;
}

export interface HttpServer {
  readonly url: string;
  /** Of requests so far: those that were answered in some way, and those whose client went away before. */
  counts(): { answered: number; gone: number };
  /**
   * Takes no more requests, and ends when those there are answered, or after `graceSeconds`: then their signals are aborted.
   * @returns how many were cut short
   */
  close(graceSeconds: number): Promise<number>;
}

const MOST_CONNECTIONS = 512;
/** For handlers to say goodbye after their signal. */
const LAST_WORDS_MS = 500;
/** For a client to read what it has been answered. */
const STALLED_MS = 60_000;

/** @throws XMoEError `io` when the address cannot be listened on */
export async function openHttpServer({ routes, access, port, mostCalls, onFault }: HttpServerOptions): Promise<HttpServer> {
  const open = new Set<AbortController>();
  const counts = { answered: 0, gone: 0 };
  let posts = 0;
  let closing = false;

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const aborting = new AbortController();
    open.add(aborting);
    response.once('close', () => {
      open.delete(aborting);
      counts[response.writableFinished ? 'answered' : 'gone']++;
      aborting.abort();
    });
    aborting.signal.addEventListener('abort', () => destroyLater(response, LAST_WORDS_MS));
    setCommonHeaders(response, closing);
    const isPost = request.method === 'POST';
    posts += isPost ? 1 : 0;
    try {
      const origin = checkSite(request.headers, access);
      if (origin !== null) allowOrigin(response, origin);
      const found = findRoute(request, routes);
      if (found === 'options') return void response.writeHead(204).end();
      if (found.guarded) checkToken(request.headers, access);
      if (closing) throw new Refusal(503, 'the server is ending', { headers: { Connection: 'close' } });
      if (isPost && posts > mostCalls) throw new Refusal(503, `${mostCalls} requests are being answered: come again`, { headers: { 'Retry-After': '1' } });
      await found.handler(createCall(request, response, aborting.signal, found.rest));
    } catch (error) {
      if (response.destroyed || (request.destroyed && !request.complete)) return; // nobody is there
      answerError(response, error);
      if (response.statusCode === 500) onFault(error);
    } finally {
      posts -= isPost ? 1 : 0;
      destroyLater(response, STALLED_MS);
    }
  };
  const server = createServer({ requestTimeout: 30_000, headersTimeout: 10_000, keepAliveTimeout: 5_000, maxHeaderSize: 16_384 }, (request, response) => void answer(request, response));
  server.maxConnections = MOST_CONNECTIONS;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(cannotListen(error, access.host, port)));
    server.listen(port, access.host, resolve);
  });
  const { address, port: actual, family } = server.address() as AddressInfo;
  return {
    url: `http://${family === 'IPv6' ? `[${address}]` : address}:${actual}/`,
    counts: () => ({ ...counts }),
    async close(graceSeconds) {
      closing = true;
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      await Promise.race([closed, sleep(graceSeconds * 1000, undefined, { ref: false })]);
      const cut = [...open];
      for (const aborting of cut) aborting.abort();
      await Promise.race([closed, sleep(LAST_WORDS_MS + 100, undefined, { ref: false })]);
      server.closeAllConnections();
      await closed;
      return cut.length;
    },
  };
}

/** Unless it has been sent by then. */
function destroyLater(response: ServerResponse, milliseconds: number): void {
  if (response.closed) return;
  const timer = setTimeout(() => response.destroy(), milliseconds).unref();
  response.once('close', () => clearTimeout(timer));
}

function cannotListen(error: NodeJS.ErrnoException, host: string, port: number): XMoEError {
  if (error.code === 'EADDRINUSE') return new XMoEError('io', `port ${port} of ${host} is in use`, { hint: 'choose another --port; 0 takes one that is free', cause: error });
  if (error.code === 'EACCES') return new XMoEError('io', `port ${port} of ${host} may not be listened on`, { hint: 'choose a --port from 1024', cause: error });
  return new XMoEError('io', `cannot listen on ${host}: ${error.message}`, { hint: 'name an address of this machine as --host', cause: error });
}

function setCommonHeaders(response: ServerResponse, closing: boolean): void {
  response.setHeader('Cache-Control', 'no-store');
  response.setHeader('X-Content-Type-Options', 'nosniff');
  response.setHeader('Cross-Origin-Resource-Policy', 'same-origin');
  if (closing) response.setHeader('Connection', 'close');
}

function allowOrigin(response: ServerResponse, origin: string): void {
  response.setHeader('Access-Control-Allow-Origin', origin);
  response.setHeader('Vary', 'Origin');
  response.setHeader('Access-Control-Allow-Methods', 'GET, POST');
  response.setHeader('Access-Control-Allow-Headers', 'authorization, content-type');
  response.setHeader('Cross-Origin-Resource-Policy', 'cross-origin');
}

/** HEAD is GET without its body, which Node leaves out by itself. @throws Refusal 404, 405 */
function findRoute({ method = '', url = '' }: IncomingMessage, { open, guarded }: Routes): 'options' | { handler: Handler; guarded: boolean; rest: string } {
  const path = url.replace(/[?#].*$/, '');
  const all = [...Object.entries(open).map((entry) => [...entry, false] as const), ...Object.entries(guarded).map((entry) => [...entry, true] as const)];
  const here = all.flatMap(([route, handler, isGuarded]) => {
    const [verb, pattern] = route.split(' ') as [string, string];
    const fits = pattern.endsWith('*') ? path.startsWith(pattern.slice(0, -1)) : path === pattern;
    return fits ? [{ verb, handler, guarded: isGuarded, rest: decoded(path.slice(pattern.length - 1)) }] : [];
  });
  if (here.length === 0) throw new Refusal(404, `there is no ${path}; there is ${all.map(([route]) => route).join(', ')}`);
  if (method === 'OPTIONS') return 'options';
  const found = here.find(({ verb }) => verb === (method === 'HEAD' ? 'GET' : method));
  if (found) return found;
  const verbs = here.map(({ verb }) => verb);
  throw new Refusal(405, `${path} takes ${verbs.join(', ')}, not ${method}`, { headers: { Allow: [...verbs, ...(verbs.includes('GET') ? ['HEAD'] : []), 'OPTIONS'].join(', ') } });
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
