// Few documents, one novel say, cut into a span for each split: train first, then validation, then test, as if they were one text. The cuts
// are at line borders where there are any nearby. By document: split-documents.ts.
import type { TextDocument } from './documents.js';
import type { SplitFractions } from './split-documents.js';
import type { SplitName } from './splits.js';

/**
 * The pieces of `documents` that lie in the span of `split`, blank ones aside. `lengths` are those of all documents in UTF-16
 * code units, in their order.
 */
export async function* documentsOfSpan(
  documents: Iterable<TextDocument> | AsyncIterable<TextDocument>,
  lengths: readonly number[],
  fractions: SplitFractions,
  split: SplitName,
): AsyncGenerator<TextDocument> {
  const total = lengths.reduce((sum, length) => sum + length, 0);
  const cuts = plannedCuts(total, fractions);
  let start = 0;
  for await (const document of documents) {
    const { text } = document;
    const [first, second] = cuts.map(({ at, slack }) => Math.min(text.length, Math.max(0, at <= start ? 0 : at >= start + text.length ? text.length : nearestBorder(text, at - start, slack))));
    start += text.length;
    const [from, to] = { train: [0, first], validation: [first, second], test: [second, text.length] }[split];
    const piece = text.slice(from, to);
    if (piece.trim() !== '') yield { ...document, text: piece };
  }
}

interface Cut {
  /** Code units from the beginning of all documents. */
  readonly at: number;
  /** How far a border may lie from there: no span may shrink by more than half. */
  readonly slack: number;
}

/** Where train and validation end. */
function plannedCuts(total: number, { validation, test }: SplitFractions): [Cut, Cut] {
  const shares = [1 - validation - test, validation, test];
  const slack = Math.floor((total * Math.min(...shares.filter((share) => share > 0))) / 2);
  const ends = [total * shares[0], total * (1 - test)].map(Math.round);
  // Without validation both cuts are one.
  return [{ at: validation > 0 ? ends[0] : ends[1], slack }, { at: test > 0 ? ends[1] : total, slack }];
}

/** The line border nearest to `at` and at most `slack` away, else the border of a word, else of a character. */
function nearestBorder(text: string, at: number, slack: number): number {
  for (const isBefore of [(unit: string) => unit === '\n', (unit: string) => /\s/.test(unit)]) {
    for (let distance = 0; distance <= slack; distance++) {
      for (const place of [at - distance, at + distance]) {
        if (place === 0 || place === text.length) return place;
        if (place > 0 && place < text.length && isBefore(text[place - 1])) return place;
      }
    }
  }
  const inside = /[\uDC00-\uDFFF]/.test(text[at]) && /[\uD800-\uDBFF]/.test(text[at - 1]);
  return inside ? at + 1 : at;
}
