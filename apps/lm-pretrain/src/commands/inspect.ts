// inspect: what routing does with a text, token by token, in the terminal and as a page.
import { join } from 'node:path';
import { XMoEError } from '@xmoe/core';
import { replaceFile } from '@xmoe/train';
import { inspectHtml } from '../inspect-html.js';
import { routeText, type InspectedText } from '../inspect.js';
import { openRun, type TrainedRun } from '../session.js';
import { facts, type Terminal } from '../terminal.js';

interface InspectOptions {
  backend: string;
  checkpoint: string;
  text?: string;
  html?: string;
}

export async function inspectCommand(terminal: Terminal, directory: string, options: InspectOptions): Promise<void> {
  const run = await openRun(directory, options);
  try {
    if (!run.record.config.moe) throw new XMoEError('config', `${directory} is a dense model: nothing is routed`, { hint: 'inspect a run with experts' });
    const tokens = options.text === undefined ? testTokens(run) : run.tokenizer.encode(options.text);
    const inspected = await routeText(run, tokens);
    const path = options.html ?? join(directory, 'inspect.html');
    await replaceFile(path, inspectHtml(inspected, run.record.preset));
    terminal.output.write(`${terminalText(inspected)}\n${facts([['page', path]])}\n`);
  } finally {
    run.close();
  }
}

/** The first window of the test split. */
function testTokens(run: TrainedRun): Int32Array {
  const split = run.dataset.split('test');
  const out = new Int32Array(Math.min(split.length, run.model.config.contextLength));
  split.read(0, out.length, out);
  return out;
}

/** Each token with its experts by layer, and a histogram by layer. */
function terminalText({ tokens, layers }: InspectedText): string {
  const text = tokens.map((token) => JSON.stringify(token).slice(1, -1));
  const width = Math.min(16, Math.max(5, ...text.map((token) => token.length)));
  const header = `  ${'token'.padEnd(width)}  ${layers.map(({ name }) => name.padEnd(24)).join('  ')}`;
  const rows = text.map((token, index) => {
    const cells = layers.map(({ perToken }) => {
      const { experts, dropped } = perToken[index]!;
      const list = experts.map((expert) => (dropped.includes(expert) ? `(${expert})` : String(expert))).join(' ');
      return `${'█'.repeat(Math.min(8, experts.length))} ${list}`.slice(0, 24).padEnd(24);
    });
    return `  ${token.slice(0, width).padEnd(width)}  ${cells.join('  ')}`;
  });
  const means = layers.map(({ name, perToken }) => [name, `${(perToken.reduce((sum, { experts }) => sum + experts.length, 0) / perToken.length).toFixed(2)} experts per token`] as const);
  return [header, ...rows, '', facts(means), '  (n): dropped by capacity'].join('\n');
}
