// Pairs from two files, line by line. Different numbers of lines are an error that names both: whatever follows the first
// missing line would be paired wrongly.
import { XMoEError } from '@xmoe/core';
import { PAIRS_OP, type PairFile } from './pair-sources.js';
import type { TextPair } from './pairs.js';
import type { PackedFile } from '../data/compressed-bytes.js';
import { readTextLines } from '../data/utf8-text.js';

/** The pairs of `file.path` and `file.target`. */
export async function* readAlignedPairs(file: PairFile): AsyncGenerator<TextPair[]> {
  const target = file.target!;
  const sources = countedLines(file);
  const targets = countedLines(target);
  let number = 0;
  for (;;) {
    const count = Math.min(await sources.fill(), await targets.fill());
    if (count === 0) break;
    const left = sources.take(count);
    const right = targets.take(count);
    yield left.map((source, i) => ({ source, target: right[i], kind: file.origin.kind, place: `${file.path}:${++number}` }));
  }
  const [sourceLines, targetLines] = [await sources.countAll(), await targets.countAll()];
  if (sourceLines === targetLines) return;
  throw new XMoEError('data', `not aligned: ${file.path} has ${sourceLines} lines and ${target.path} has ${targetLines}`, {
    op: PAIRS_OP,
    hint: 'line n of one file must translate line n of the other: check that both are whole and of the same text',
  });
}

function countedLines(file: PackedFile) {
  const steps = readTextLines(file, PAIRS_OP);
  let waiting: string[] = [];
  let seen = 0;
  const more = async (): Promise<boolean> => {
    const { value, done } = await steps.next();
    if (done === true) return false;
    waiting = value;
    seen += value.length;
    return true;
  };
  return {
    /** Lines at hand; 0 at the end of the file. */
    async fill(): Promise<number> {
      if (waiting.length === 0) await more();
      return waiting.length;
    },
    take(count: number): string[] {
      const taken = waiting.slice(0, count);
      waiting = waiting.slice(count);
      return taken;
    },
    async countAll(): Promise<number> {
      while (await more());
      return seen;
    },
  };
}
