// The splits of every corpus, by name. Which document goes where: split-documents.ts; what file names say: split-names.ts.

export type SplitName = 'train' | 'validation' | 'test';
export const splitNames: readonly SplitName[] = ['train', 'validation', 'test'];

/** The splits that nothing is trained on. */
export type HeldOut = Exclude<SplitName, 'train'>;
