// What a baseline is: a translation of a line without a neural network. The least that a model must beat.

export interface Baseline {
  /** For tables. */
  readonly name: string;
  translate(line: string): string;
}

/** Gives the source as its translation. High where languages share names and code. */
export function createCopyBaseline(): Baseline {
  return { name: 'copy of the source', translate: (line) => line };
}
