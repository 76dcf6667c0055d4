// translate: standard input to standard output, line by line and in order. Lines that wait are translated together; one line
// alone at once. What comes before a line that is refused is written all the same.
import type { Readable } from 'node:stream';
import { XMoEError } from '@xmoe/core';
import { byFirst, fromFirst, shareOut, type Comm } from '@xmoe/distributed';
import type { DecodingOptions, TextTranslation } from '@xmoe/models';
import { checkSampling } from '@xmoe/nn';
import { printable, requireSameRun, type Terminal } from '@xmoe/program';
import type { Config } from '../config.js';
import { readInputLines } from '../input-lines.js';
import { openRun } from '../session.js';

interface TranslateOptions {
  backend: string;
  checkpoint: string;
  beam?: number;
  lengthPenalty?: number;
  threshold?: number;
  nBest?: number;
  sample?: boolean;
  temperature: number;
  topK: number;
  topP: number;
  seed: number;
  tokenizer?: string;
}

/** Lines that are translated together, at most. */
const MOST_LINES = 128;

/** On all ranks of `comm`: the first reads, and each translates so many lines as one process would together. */
export async function translateCommand(terminal: Terminal, directory: string, options: TranslateOptions, input: Readable, comm: Comm): Promise<void> {
  const { temperature, topK, topP } = options;
  if (options.sample) checkSampling({ temperature, topK, topP });
  const run = await openRun(directory, { ...options, onWarning: (message) => terminal.messages.write(`${message}\n`) });
  try {
    await requireSameRun(comm, run);
    const decoding = decodingOf(run.record.config, options);
    // A terminal must not obey what a model writes; a file gets it as it is.
    const write = (text: string): void => void (terminal.json || terminal.output.write(terminal.output.isTTY ? printable(text) : text));
    const translations: { line: number; best: readonly TextTranslation[] }[] = [];
    let number = 1;
    for await (const batch of linesForAll(comm, input)) {
      const { lines, refused } = run.lines.read(batch, number);
      const translated = (await shareOut(comm, inGroups(lines), (group) => run.lines.translate(group, decoding))).flat();
      write(translated.map((all, index) => lineText(all, number + index, options.nBest !== undefined)).join(''));
      if (terminal.json) translations.push(...translated.map((best, index) => ({ line: number + index, best })));
      const cut = translated.flatMap((all, index) => (all.some(({ complete }) => !complete) ? [number + index] : []));
      for (const line of cut) terminal.messages.write(`line ${line}: the translation reached the maximum length\n`);
      if (refused && terminal.json) terminal.result({ checkpoint: run.checkpoint.path, translations, refused: refused.message }, '');
      if (refused) throw refused;
      number += batch.length;
    }
    terminal.result({ checkpoint: run.checkpoint.path, translations }, '');
  } finally {
    input.destroy(); // an error must not wait for the rest
    run.close();
  }
}

/** What the first rank reads, on all of them: as much at once as all together translate at a time. */
async function* linesForAll(comm: Comm, input: Readable): AsyncGenerator<string[]> {
  const lines = comm.rank === 0 ? readInputLines(input, MOST_LINES * comm.size) : undefined;
  const read = async (): Promise<string[] | null> => {
    const { value, done } = await lines!.next();
    return done ? null : value;
  };
  for (;;) {
    const batch = await fromFirst(comm, (await byFirst(comm, read)) ?? null);
    if (batch === null) return;
    yield batch;
  }
}

function* inGroups<Line>(lines: readonly Line[]): Generator<readonly Line[]> {
  for (let first = 0; first < lines.length; first += MOST_LINES) yield lines.slice(first, first + MOST_LINES);
}

/** @throws XMoEError `config` when more hypotheses are asked for than the search keeps */
function decodingOf({ decoding }: Config, options: TranslateOptions): DecodingOptions {
  const { temperature, topK, topP, seed, nBest = 1, beam = decoding.beam, lengthPenalty = decoding.lengthPenalty } = options;
  if (!options.sample && nBest > beam) {
    throw new XMoEError('config', `--n-best ${nBest} is more than the beam of ${beam}, which keeps no others`, { hint: `add --beam ${nBest} (the best translation may change with it), or ask for fewer` });
  }
  return { ...decoding, beam, lengthPenalty, nBest, ...(options.sample ? { sampling: { temperature, topK, topP, seed } } : {}) };
}

/** The best translation, or all with their number and score. A line without text stays one. */
function lineText(translations: readonly TextTranslation[], line: number, all: boolean): string {
  if (!all) return `${translations[0]?.text ?? ''}\n`;
  return translations.map(({ text, score }) => `${line} ||| ${text} ||| ${score.toFixed(4)}\n`).join('');
}
