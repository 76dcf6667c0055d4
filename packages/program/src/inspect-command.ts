// inspect of every program: what routing does with a text, in the terminal and as a page. Which text, and how it is routed, is the
// program's to say.
import { join } from 'node:path';
import { XMoEError } from '@xmoe/core';
import { replaceFile } from '@xmoe/files/node';
import type { CheckpointChoice } from '@xmoe/train/node';
import { alignedFacts, type Terminal } from './terminal.js';
import { inspectHtml } from './token-routing-html.js';
import type { InspectedText } from './token-routing.js';

export interface InspectOptions {
  backend: string;
  checkpoint: string;
  text?: string;
  html?: string;
}

/** What is needed of an opened run. */
export interface InspectableRun {
  readonly record: { readonly preset: string; readonly config: { readonly moe: object | null } };
  close(): void;
}

export interface Inspected {
  /** One text, or the sides of a pair: what the page shows. */
  texts: InspectedText | readonly InspectedText[];
  /** For the terminal, above the line that names the page. */
  text: string;
}

/** @throws XMoEError `config` for a dense model */
export async function inspectCommand<Run extends InspectableRun>(
  terminal: Terminal,
  directory: string,
  options: InspectOptions,
  { open, route }: { open(directory: string, options: InspectOptions & CheckpointChoice): Promise<Run>; route(run: Run, text: string | undefined): Promise<Inspected> },
): Promise<void> {
  const run = await open(directory, { ...options, onWarning: (message) => terminal.messages.write(`${message}\n`) });
  try {
    const { preset, config } = run.record;
    if (!config.moe) throw new XMoEError('config', `${directory} is a dense model: nothing is routed`, { hint: 'inspect a run with experts' });
    const { texts, text } = await route(run, options.text);
    const path = options.html ?? join(directory, 'inspect.html');
    await replaceFile(path, inspectHtml(texts, preset));
    terminal.result({ page: path, texts: 'tokens' in texts ? [texts] : texts }, `${text}\n${alignedFacts([['page', path]])}\n`);
  } finally {
    run.close();
  }
}
