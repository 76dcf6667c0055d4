// One request as its handler sees it: a body, an answer or a stream of events, and a signal when nobody waits any more.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { parseConfig } from '@xmoe/train';
import type { z } from 'zod';
import { readJsonBody } from './read-body.js';
import { errorBody, refusalOf } from './refusal.js';

/** A stream whose reader lags further behind than this is ended: what waits for it is memory. */
const MOST_UNREAD_BYTES = 1 << 20;

export interface EventStream {
  /** One event: a JSON object, or the word that ends a stream. */
  send(data: object | string): void;
  end(): void;
}

export interface Call {
  /** Aborted when the client has gone, or the server ends. */
  readonly signal: AbortSignal;
  /** What a route with `*` has in its place. */
  readonly rest: string;
  /** The body. @throws XMoEError `config` naming what does not fit */
  body<S extends z.ZodType>(schema: S): Promise<z.output<S>>;
  json(value: object): void;
  text(type: string, text: string, headers?: Readonly<Record<string, string>>): void;
  /** Server-sent events; an error of the handler becomes the last one. */
  stream(): EventStream;
}

export type Handler = (call: Call) => Promise<void> | void;

export function createCall(request: IncomingMessage, response: ServerResponse, signal: AbortSignal, rest: string): Call {
  const whole = (type: string, text: string, headers: Readonly<Record<string, string>> = {}): void => {
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    response.setHeader('Content-Type', type);
    response.setHeader('Content-Length', Buffer.byteLength(text));
    response.end(text);
  };
  return {
    signal,
    rest,
    body: async (schema) => parseConfig(schema, await readJsonBody(request), { where: 'the request' }),
    json: (value) => whole('application/json', `${JSON.stringify(value)}\n`),
    text: whole,
    stream() {
      response.writeHead(200, { 'Content-Type': 'text/event-stream', 'X-Accel-Buffering': 'no' });
      response.flushHeaders();
      return {
        send(data) {
          if (signal.aborted) return;
          response.write(eventText(data));
          if (response.writableLength > MOST_UNREAD_BYTES) response.destroy();
        },
        end: () => void response.end(),
      };
    },
  };
}

const eventText = (data: object | string): string => `data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`;

/** Answers with the error, or ends a stream with it. */
export function answerError(response: ServerResponse, error: unknown): void {
  const refusal = refusalOf(error);
  const body = errorBody(refusal);
  if (response.headersSent) {
    response.end(eventText(body));
    return;
  }
  const text = `${JSON.stringify(body)}\n`;
  response.writeHead(refusal.status, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text), ...refusal.details.headers });
  response.end(text);
}
