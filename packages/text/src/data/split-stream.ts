// The documents of a corpus with their splits, one after the other: as published, cut by document, or both. No tokens.
import type { DocumentSource } from './documents.js';
import { createSplitter, DEFAULT_FRACTIONS, type SplitDocument, type SplitFractions } from './split-documents.js';
import { splitNames, type HeldOut, type SplitName } from './splits.js';

export interface SplitStreamOptions {
  /** For one stream, and for what `cut` names. Default 0.05 each. */
  split?: SplitFractions;
  splitSalt?: string;
  /** Splits to cut from the `train` of published ones. */
  cut?: readonly HeldOut[];
}

/** One stream is split by document; of published splits, `train` is, where something is to be cut from it. */
export async function* splitStream(
  documents: DocumentSource | Partial<Record<SplitName, DocumentSource>>,
  { split = DEFAULT_FRACTIONS, splitSalt, cut = [] }: SplitStreamOptions,
): AsyncGenerator<SplitDocument> {
  if (isOneStream(documents)) {
    const splitter = createSplitter(split, splitSalt);
    for await (const document of documents) yield* splitter.push(document);
    yield* splitter.finish();
    return;
  }
  const { train = [], ...published } = documents;
  const fractions = { validation: cut.includes('validation') ? split.validation : 0, test: cut.includes('test') ? split.test : 0 };
  if (cut.length > 0) yield* splitStream(train, { split: fractions, splitSalt });
  else for await (const document of train) yield { split: 'train', document };
  for (const name of splitNames) {
    if (name !== 'train') for await (const document of published[name] ?? []) yield { split: name, document };
  }
}

export function isOneStream(documents: DocumentSource | Partial<Record<SplitName, DocumentSource>>): documents is DocumentSource {
  return Symbol.asyncIterator in documents || Symbol.iterator in documents;
}
