// What the name of a file or folder says about its split, by the words that public corpora use. Pure string work.
import { withoutCompression } from './compressed-bytes.js';
import type { SplitName } from './splits.js';

/** `other`: held out, as validation or as test, whichever no other name claims. */
export type NamedSplit = SplitName | 'other';

export interface SplitLabel {
  readonly split: NamedSplit;
  /** The name is about the split (`train-00000-of-00002`, `Stories-train`, `val`) and does not just hold the word (`train-journey`). */
  readonly sure: boolean;
}

const WORDS: Readonly<Record<string, NamedSplit>> = {
  train: 'train', training: 'train', trainset: 'train',
  validation: 'validation', valid: 'validation', val: 'validation', dev: 'validation', development: 'validation', valset: 'validation', devset: 'validation',
  test: 'test', testing: 'test', testset: 'test',
  eval: 'other', evaluation: 'other', heldout: 'other', holdout: 'other',
};

/** Words after the split that only number the parts of it. */
const PART_WORD = /^(\d+|of|part|parts|shard|chunk|file|split|set|data|v)$/;

/** The label of a file's name, its endings aside; undefined where it says nothing, or two things. */
export function labelOfFile(name: string): SplitLabel | undefined {
  const plain = withoutCompression(name);
  const ending = /\.([A-Za-z]\w*)$/.exec(plain)?.[1].toLowerCase();
  return labelOf(ending === undefined || Object.hasOwn(WORDS, ending) ? plain : plain.slice(0, -ending.length - 1));
}

/** The label of a folder's name. */
export const labelOfFolder = (name: string): SplitLabel | undefined => labelOf(name);

function labelOf(stem: string): SplitLabel | undefined {
  const words = wordsOf(stem);
  const found = new Set(words.flatMap((word) => (Object.hasOwn(WORDS, word) ? [WORDS[word]] : [])));
  if (found.size !== 1) return undefined;
  const split = [...found][0];
  const last = words.findLast((word) => !PART_WORD.test(word));
  const first = words[0];
  // `train_sft-00000-of-00001` begins with its split, as all parts of a table do.
  const numbered = /\d+-of-\d+/.test(stem);
  const sure = (last !== undefined && WORDS[last] === split) || (numbered && WORDS[first] === split);
  return { split, sure };
}

/** Words in lower case: separators, changes from lower to upper case and between letters and digits divide them. */
function wordsOf(stem: string): string[] {
  return stem
    .replace(/held[-_ ]out/gi, 'heldout').replace(/hold[-_ ]out/gi, 'holdout')
    .replace(/([a-z])([A-Z])/g, '$1 $2').replace(/([A-Za-z])(\d)/g, '$1 $2').replace(/(\d)([A-Za-z])/g, '$1 $2')
    .toLowerCase().split(/[^\p{L}\d]+/u).filter((word) => word !== '');
}
