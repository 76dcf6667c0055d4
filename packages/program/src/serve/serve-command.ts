// serve: a trained run behind HTTP on this machine, with a page to try it. What it answers is the service's, which the program makes of
// the run; this is its life: options, address, end.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, resolve } from 'node:path';
import { XMoEError } from '@xmoe/core';
import { createStopSignal, type CheckpointChoice } from '@xmoe/train/node';
import type { Command } from 'commander';
import { type backendOption, checkpointOption, countFromOne, finiteNumber, wholeNumber } from '../command-flags.js';
import type { Terminal } from '../terminal.js';
import { checkAccessRules } from './access.js';
import type { Handler } from './call.js';
import { openHttpServer } from './http-server.js';
import { servePage, PAGE_POLICY, type PageFacts } from './page.js';
import { Refusal } from './refusal.js';

export interface ServeOptions {
  backend: string;
  checkpoint: string;
  host: string;
  port: number;
  token?: string;
  allowHost?: string[];
  allowOrigin?: string[];
  name?: string;
  /** Of a program that adds the option. */
  maxTokens?: number;
  maxRunning: number;
  maxWaiting: number;
  grace: number;
}

/** What a program answers with a run. */
export interface Service {
  /** `POST /path` → handler, beside those that every server has. */
  readonly routes: Readonly<Record<string, Handler>>;
  readonly page: Omit<PageFacts, 'name'>;
  /** Seconds since 1970 of the checkpoint. */
  readonly created: number;
  /** What is computed now and what waits, for GET /health. */
  load(): { running: number; waiting: number };
  close(): void;
}

export type OpenService = (directory: string, options: ServeOptions & CheckpointChoice & { readonly modelName: string }) => Promise<Service>;

/** Adds `serve`, for the program to add options of its own. */
export function addServeCommand(program: Command, terminal: Terminal, backend: ReturnType<typeof backendOption>, open: OpenService): Command {
  return program.command('serve <run>').description('a page to try a run, and an API as OpenAI’s clients speak it, on this machine')
    .option(...backend)
    .option(...checkpointOption())
    .option('--port <port>', '0 takes one that is free', wholeNumber, 8080)
    .option('--host <address>', 'address to listen on; others than this machine’s need a token', '127.0.0.1')
    .option('--token <text>', 'asked for as Authorization: Bearer; others see it in ps (default: XMOE_SERVE_TOKEN)')
    .option('--allow-host <name...>', 'names by which clients may call this server, beside addresses and localhost')
    .option('--allow-origin <origin...>', 'sites whose pages may ask, e.g. https://example.org (CORS)')
    .option('--name <name>', 'of the model in the API (default: the name of the run’s directory)')
    .option('--max-running <count>', 'texts that are computed side by side', countFromOne, 16)
    .option('--max-waiting <count>', 'requests that may wait; more are told to come again', wholeNumber, 64)
    .option('--grace <seconds>', 'how long answers may take to end after SIGINT or SIGTERM', finiteNumber, 10)
    .action((run, options) => serveCommand(terminal, run, options, open));
}

async function serveCommand(terminal: Terminal, directory: string, options: ServeOptions, open: OpenService): Promise<void> {
  const { host, port, grace, token = process.env.XMOE_SERVE_TOKEN, name = basename(resolve(directory)) } = options;
  const access = { host, token, allowedHosts: (options.allowHost ?? []).map((text) => text.toLowerCase()), allowedOrigins: options.allowOrigin ?? [] };
  checkAccessRules(access);
  if (port > 65_535) throw new XMoEError('config', `there is no port ${port}`, { hint: 'choose one from 1 to 65535, or 0 for one that is free' });
  if (grace < 0) throw new XMoEError('config', `the grace is ${grace} seconds`, { hint: 'choose a number from 0' });
  const stop = createStopSignal({ onStop: (reason) => terminal.messages.write(`\n${reason}: ending when the answers there are given, within ${grace} s; once more to quit at once\n`) });
  try {
    const service = await open(directory, { ...options, modelName: name, onWarning: (message) => terminal.messages.write(`${message}\n`) });
    try {
      const server = await openHttpServer({
        routes: routesOf(service, name, token !== undefined), access, port, mostCalls: options.maxRunning + options.maxWaiting,
        onFault: (error) => terminal.messages.write(`unexpected error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`),
      });
      terminal.outliveReaders();
      terminal.result({ model: name, url: server.url }, `${name}: ${server.url}\n`);
      await aborted(stop.abortSignal);
      const cut = await server.close(grace);
      // Being told to end is how a server ends: only what was cut makes it less than done.
      if (cut > 0) terminal.exitCode = stop.exitCode;
      const { answered, gone } = server.counts();
      terminal.messages.write(`Answered ${answered} requests; ${gone} clients went away before${cut > 0 ? `; ${cut} answers were cut short` : ''}\n`);
    } finally {
      service.close();
    }
  } finally {
    stop.dispose();
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    // A promise and sockets that nobody uses keep no process alive.
    const alive = setInterval(() => undefined, 1 << 30);
    const end = (): void => {
      clearInterval(alive);
      done();
    };
    if (signal.aborted) end();
    else signal.addEventListener('abort', end, { once: true });
  });
}

function routesOf(service: Service, name: string, asksForToken: boolean): Parameters<typeof openHttpServer>[0]['routes'] {
  const model = { id: name, object: 'model', created: service.created, owned_by: 'xmoe' };
  const script = readFileSync(createRequire(import.meta.url).resolve('@xmoe/program/serve-page.js'), 'utf8');
  const html = servePage({ ...service.page, name, asksForToken });
  return {
    open: {
      'GET /': (call) => call.text('text/html; charset=utf-8', html, PAGE_POLICY),
      'GET /serve-page.js': (call) => call.text('text/javascript; charset=utf-8', script),
      'GET /health': (call) => call.json({ status: 'ok', ...service.load() }),
    },
    guarded: {
      'GET /v1/models': (call) => call.json({ object: 'list', data: [model] }),
      'GET /v1/models/*': (call) => {
        if (call.rest !== name) throw unknownModel(call.rest, name);
        call.json(model);
      },
      'POST /v1/chat/completions': () => {
        throw new Refusal(404, 'this model continues texts, and was trained on no conversations: use /v1/completions');
      },
      ...service.routes,
    },
  };
}

/** As OpenAI's clients expect it. */
export function unknownModel(asked: string, name: string): Refusal {
  return new Refusal(404, `there is no model ${JSON.stringify(asked)} here; there is ${JSON.stringify(name)}`, { code: 'model_not_found' });
}
