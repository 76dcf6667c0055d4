// Perplexities of the paper's Tables 1 and 2, as a summary of it by others gives them; the paper itself was not at hand. A second source
// agrees on the first and the last of OpenWebText (22.61, 19.46). What the summary lacks is left out rather than guessed.

type Numbers = Readonly<Record<string, number>>;

const ofBoth = (openWebText: number, wikiText: number): Numbers => ({ OpenWebText: openWebText, 'WikiText-103': wikiText });

/** Of the size with 323M parameters, by the label of the row. */
const TABLE_1: Readonly<Record<string, Numbers>> = {
  dense: ofBoth(22.61, 22.24),
  Switch: ofBoth(20.11, 20.6),
  'top-k, 2× finer': ofBoth(19.81, 20.24),
  'XMoE, 2× finer': ofBoth(19.57, 20.16),
  'XMoE, 4× finer': ofBoth(19.49, 20),
  'XMoE, 8× finer': ofBoth(19.46, 19.97),
};

/** What is published of a row of Table 1, on the corpus that this one stands for. */
export function publishedInTable1(standsForSize: string, standsForCorpus: string, label: string): Numbers | undefined {
  const value = standsForSize === '323M' ? TABLE_1[label]?.[standsForCorpus] : undefined;
  return value === undefined ? undefined : { [standsForCorpus]: value };
}

/** Of the dense model with 124M parameters, and of it trained as XMoE of 8 parts with a quarter of the FLOPs. */
export const PUBLISHED_IN_TABLE_2 = { dense: ofBoth(22.61, 22.24), quarter: ofBoth(23.07, 21.97) } as const;

export function publishedOn(numbers: Numbers, standsForCorpus: string): Numbers {
  return { [standsForCorpus]: numbers[standsForCorpus]! };
}
