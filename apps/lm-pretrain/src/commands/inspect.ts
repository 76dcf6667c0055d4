// inspect: what routing does with a text, token by token, in the terminal and as a page.
import { join } from 'node:path';
import { XMoEError } from '@xmoe/core';
import { replaceFile } from '@xmoe/files/node';
import { facts, inspectHtml, tokenRoutingText, type Terminal } from '@xmoe/program';
import { routeText } from '../inspect.js';
import { openRun, type TrainedRun } from '../session.js';

interface InspectOptions {
  backend: string;
  checkpoint: string;
  text?: string;
  html?: string;
}

export async function inspectCommand(terminal: Terminal, directory: string, options: InspectOptions): Promise<void> {
  const run = await openRun(directory, { ...options, onWarning: (message) => terminal.messages.write(`${message}\n`) });
  try {
    if (!run.record.config.moe) throw new XMoEError('config', `${directory} is a dense model: nothing is routed`, { hint: 'inspect a run with experts' });
    const tokens = options.text === undefined ? await testTokens(run) : run.tokenizer.encode(options.text);
    const inspected = await routeText(run, tokens);
    const path = options.html ?? join(directory, 'inspect.html');
    await replaceFile(path, inspectHtml(inspected, run.record.preset));
    terminal.output.write(`${tokenRoutingText(inspected)}\n${facts([['page', path]])}\n`);
  } finally {
    run.close();
  }
}

/** The first window of the test split. */
async function testTokens(run: TrainedRun): Promise<Int32Array> {
  const split = (await run.dataset()).split('test');
  if (split.length === 0) throw new XMoEError('data', 'the run has no test split to take a text from', { hint: 'give one with --text' });
  const out = new Int32Array(Math.min(split.length, run.model.config.contextLength));
  split.read(0, out.length, out);
  return out;
}
