// Pairs to score translations on: of a run's own data, of files in any format, or a file of translations with its references.
import { XMoEError } from '@xmoe/core';
import { parsePairSource, readPairs, type PairFileSource } from '@xmoe/text/node';
import type { LanguagePair, TextPair } from '@xmoe/text';
import type { TrainedRun } from './session.js';

export interface ScoredPairs {
  /** For the first line of the result. */
  name: string;
  sources: string[];
  /** Where each source was read, for errors. */
  places: string[];
  references: string[];
  /** Of each pair; all empty without kinds. */
  kinds: string[];
  /** How the files were read, where there is more than one way. */
  notes: readonly string[];
}

const SPLITS = ['validation', 'test'] as const;

/** Pairs of the data that a run was trained on. */
export async function pairsOfRun(run: TrainedRun, splitName: string, most = Infinity): Promise<ScoredPairs> {
  const name = SPLITS.find((known) => known === splitName);
  if (!name) throw new XMoEError('value', `there is no split ${JSON.stringify(splitName)} to score`, { hint: `one of ${SPLITS.join(', ')}` });
  const dataset = await run.dataset();
  const split = dataset.split(name);
  const indices = Array.from({ length: Math.min(most, split.pairs) }, (_, index) => index);
  const texts = indices.map((index) => dataset.text(name, index));
  return {
    name: `${name} split, ${run.checkpoint.path}`,
    sources: texts.map(({ source }) => source),
    places: indices.map((index) => `the ${name} split: pair ${index}`),
    references: texts.map(({ target }) => target),
    kinds: indices.map((index) => split.kinds[split.kindOf[index]!] ?? ''),
    notes: [],
  };
}

/** Pairs of other files. */
export async function pairsOfFiles(paths: readonly string[], languages: LanguagePair, most = Infinity): Promise<ScoredPairs> {
  const { pairs, notes } = await take(paths.map(parsePairSource), languages, most);
  return {
    name: paths.join(', '),
    sources: pairs.map(({ source }) => source),
    places: pairs.map(({ place }) => place),
    references: pairs.map(({ target }) => target),
    kinds: pairs.map(({ kind }) => kind ?? ''),
    notes,
  };
}

/** A file of translations, line by line beside its references. */
export async function translationsOfFile(path: string, references: string, most = Infinity): Promise<{ hypotheses: string[]; pairs: ScoredPairs }> {
  const { pairs, notes } = await take([{ path, target: references, format: 'lines' }], { source: 'und', target: 'und' }, most);
  return {
    hypotheses: pairs.map(({ source }) => source),
    pairs: { name: path, sources: [], places: [], references: pairs.map(({ target }) => target), kinds: pairs.map(() => ''), notes },
  };
}

/** Every row counts: one that cannot be read would silently change the score. */
async function take(sources: readonly PairFileSource[], languages: LanguagePair, most: number): Promise<{ pairs: TextPair[]; notes: readonly string[] }> {
  const pairs: TextPair[] = [];
  const stream = readPairs(sources, { languages, strict: true });
  for await (const pair of stream) {
    if (pairs.length === most) break;
    pairs.push(pair);
  }
  return { pairs, notes: stream.notes };
}
