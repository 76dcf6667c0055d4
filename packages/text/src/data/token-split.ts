// What samplers and baselines read: tokens by their place. No implementation: array-split.ts is over an array, open-shards.ts over files.

/** A sequence of tokens that can be read at any place. */
export interface TokenSplit {
  /** For messages: `train`, `validation`, `test`. */
  readonly name: string;
  /** Number of tokens. */
  readonly length: number;
  /** UTF-8 bytes of the text behind them, end-of-text tokens counted as none. */
  readonly bytes: number;
  readonly documents: number;
  /** Copies tokens offset … offset + count − 1 to the beginning of `out`. Throws outside the split. */
  read(offset: number, count: number, out: Int32Array): void;
}
