// Evaluation batches: windows side by side that predict every token of a split once, except the first. Nothing random.
import { XMoEError } from '@xmoe/core';
import type { TokenBatch } from './batch-sampler.js';
import type { TokenSplit } from './token-split.js';

/** Target of a position that does not count. */
export const IGNORED_TARGET = -1;

export interface EvaluationBatch extends TokenBatch {
  /** Rows that hold a window; the others, at the end of the last batch, are padding. */
  readonly windows: number;
  /** Targets that count. */
  readonly targetCount: number;
}

export interface EvaluationOptions {
  /** B: windows per batch. Default 1. */
  batchSize?: number;
  /** Stop after so many windows, for a quick estimate. Default: all. */
  maxWindows?: number;
  /** Token in the places of padding. Default 0. */
  padToken?: number;
}

/**
 * Windows of T tokens without overlap, [B, T] at a time; the model sees at most T tokens up to the one it predicts.
 * The last window is padded with targets of −1.
 * Throws when the split has fewer than 2 tokens.
 */
export function* evaluationWindows(
  split: TokenSplit,
  sequenceLength: number,
  { batchSize = 1, maxWindows = Infinity, padToken = 0 }: EvaluationOptions = {},
): Generator<EvaluationBatch, void, undefined> {
  checkArguments(split, sequenceLength, batchSize);
  const windows = Math.min(maxWindows, Math.ceil((split.length - 1) / sequenceLength));
  const window = new Int32Array(sequenceLength + 1);
  for (let first = 0; first < windows; first += batchSize) {
    const rows = Math.min(batchSize, windows - first);
    const inputs = new Int32Array(batchSize * sequenceLength).fill(padToken);
    const targets = new Int32Array(batchSize * sequenceLength).fill(IGNORED_TARGET);
    let targetCount = 0;
    for (let row = 0; row < rows; row++) {
      const start = (first + row) * sequenceLength;
      const count = Math.min(sequenceLength, split.length - 1 - start);
      split.read(start, count + 1, window);
      inputs.set(window.subarray(0, count), row * sequenceLength);
      targets.set(window.subarray(1, count + 1), row * sequenceLength);
      targetCount += count;
    }
    yield { inputs, targets, windows: rows, targetCount };
  }
}

function checkArguments(split: TokenSplit, sequenceLength: number, batchSize: number): void {
  for (const [name, value] of Object.entries({ sequenceLength, batchSize })) {
    if (Number.isInteger(value) && value >= 1) continue;
    throw new XMoEError('value', `${name} is ${value}`, { op: 'evaluationWindows', hint: 'pass an integer from 1' });
  }
  if (split.length >= 2) return;
  throw new XMoEError('data', `the ${split.name} split has ${split.length} tokens: nothing to predict`, {
    op: 'evaluationWindows',
    hint: 'raise its share of the documents, give more text, or score another split',
  });
}
