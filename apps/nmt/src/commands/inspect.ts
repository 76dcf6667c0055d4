// inspect: what routing does with a sentence and its translation, token by token, in the terminal and as a page.
import { join } from 'node:path';
import { XMoEError } from '@xmoe/core';
import { replaceFile } from '@xmoe/files/node';
import { decode } from '@xmoe/models';
import { facts, inspectHtml, printable, tokenRoutingText, type Terminal } from '@xmoe/program';
import { routeSentence } from '../route-sentence.js';
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
    const { record: { config, preset }, tokenizer, tokens, translator, device, model, parameters } = run;
    if (!config.moe) throw new XMoEError('config', `${directory} is a dense model: nothing is routed`, { hint: 'inspect a run with experts' });
    const source = await sourceOf(run, options.text);
    const [best] = (await translator.translate([source], config.decoding))[0]!;
    const router = { engine: device.engine, model, parameters, tokenizer, tokens, computeDType: config.train.precision };
    const routed = await routeSentence(router, source.subarray(0, -1), best!.tokens);
    const sides = [routed.source, routed.target].filter(({ layers }) => layers.length > 0);
    const path = options.html ?? join(directory, 'inspect.html');
    await replaceFile(path, inspectHtml(sides, preset));
    terminal.output.write([
      facts([['source', printable(tokenizer.decode(source.subarray(0, -1)))], ['translation', printable(decode(tokenizer, best!.tokens))]]),
      ...sides.map(tokenRoutingText),
      `${facts([['page', path]])}\n`,
    ].join('\n\n'));
  } finally {
    run.close();
  }
}

/** The sentence, or the source of the first test pair: ended token ids. */
async function sourceOf(run: TrainedRun, text: string | undefined): Promise<Int32Array> {
  const { lines, refused } = run.lines.read([text ?? (await run.dataset()).text('test', 0).source], 1, () => 'the text');
  if (refused) throw refused;
  const [first, ...others] = lines[0]!.parts;
  if (first === undefined) throw new XMoEError('value', 'the text is empty', { op: 'inspect', hint: 'pass --text with at least one character' });
  if (others.length > 0) throw new XMoEError('value', `the text is translated in ${others.length + 1} parts`, { op: 'inspect', hint: 'pass --text with one of its sentences' });
  return first;
}
