// inspect: what routing does with a text, token by token, in the terminal and as a page.
import { join } from 'node:path';
import { XMoEError } from '@xmoe/core';
import { replaceFile } from '@xmoe/train';
import { inspectHtml } from '../inspect-html.js';
import { routeText, type InspectedText, type TokenRouting } from '../inspect.js';
import { openRun, type TrainedRun } from '../session.js';
import { facts, type Terminal } from '../terminal.js';

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
    terminal.output.write(`${terminalText(inspected)}\n${facts([['page', path]])}\n`);
  } finally {
    run.close();
  }
}

/** The first window of the test split. */
async function testTokens(run: TrainedRun): Promise<Int32Array> {
  const split = (await run.dataset()).split('test');
  const out = new Int32Array(Math.min(split.length, run.model.config.contextLength));
  split.read(0, out.length, out);
  return out;
}

const MOST_LISTED = 6;
const MOST_BLOCKS = 8;

/** One token's experts as a bar and their numbers, the first in rank first. */
function cell({ experts, dropped }: TokenRouting): string {
  const list = experts.slice(0, MOST_LISTED).map((expert) => (dropped.includes(expert) ? `(${expert})` : String(expert)));
  const more = experts.length - list.length;
  return `${'█'.repeat(Math.min(MOST_BLOCKS, experts.length)).padEnd(MOST_BLOCKS)} ${list.join(' ')}${more > 0 ? ` +${more}` : ''}`;
}

/** Each token with its experts by layer, and the mean by layer. */
function terminalText({ tokens, layers }: InspectedText): string {
  const columns = [
    ['token', ...tokens.map((token) => JSON.stringify(token).slice(1, -1).slice(0, 16))],
    ...layers.map(({ name, perToken }) => [name, ...perToken.map(cell)]),
  ].map((column) => {
    const width = Math.max(...column.map((text) => text.length));
    return column.map((text) => text.padEnd(width));
  });
  const rows = columns[0]!.map((_, row) => `  ${columns.map((column) => column[row]).join('  ').trimEnd()}`);
  const means = layers.map(({ name, perToken }) => [name, `${(perToken.reduce((sum, { experts }) => sum + experts.length, 0) / perToken.length).toFixed(2)} experts per token`] as const);
  const anyDropped = layers.some(({ perToken }) => perToken.some(({ dropped }) => dropped.length > 0));
  return [...rows, '', facts(means), ...(anyDropped ? ['  (n): dropped by capacity'] : [])].join('\n');
}
