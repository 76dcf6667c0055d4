// Token pairs into one padded batch. It chooses neither the pairs nor the row lengths.
import { XMoEError } from '@xmoe/core';
import { IGNORED_TARGET } from '../data/evaluation-windows.js';
import type { ParallelBatch, TokenPair } from './parallel-batch.js';
import type { TranslationTokens } from './special-tokens.js';

export interface CollateOptions {
  /** S and T. Default: the longest source and target. */
  sourceLength?: number;
  targetLength?: number;
  /** Number of each pair, for `indices`. Default 0 … B − 1. */
  indices?: ArrayLike<number>;
}

/** A batch of `pairs`, in their order. Throws when there is none, or one that does not fit its row. */
export function collatePairs(
  pairs: readonly TokenPair[],
  tokens: TranslationTokens,
  options: CollateOptions = {},
): ParallelBatch {
  const rows = pairs.length;
  if (rows === 0) throw new XMoEError('value', 'no pairs', { op: 'collatePairs', hint: 'pass at least one pair' });
  const sourceLengths = Int32Array.from(pairs, ({ source }) => source.length);
  const targetLengths = Int32Array.from(pairs, ({ target }) => target.length);
  const sourceLength = fit('sourceLength', options.sourceLength, sourceLengths);
  const targetLength = fit('targetLength', options.targetLength, targetLengths);
  const source = new Int32Array(rows * sourceLength).fill(tokens.padding);
  const sourceMask = new Uint8Array(rows * sourceLength);
  const targetInput = new Int32Array(rows * targetLength).fill(tokens.padding);
  const targetOutput = new Int32Array(rows * targetLength).fill(IGNORED_TARGET);
  const targetMask = new Uint8Array(rows * targetLength);
  pairs.forEach((pair, row) => {
    const [from, to] = [row * sourceLength, row * targetLength];
    source.set(pair.source, from);
    sourceMask.fill(1, from, from + pair.source.length);
    targetInput[to] = tokens.beginOfSentence;
    targetInput.set(pair.target.subarray(0, -1), to + 1);
    targetOutput.set(pair.target, to);
    targetMask.fill(1, to, to + pair.target.length);
  });
  return {
    rows,
    sourceLength,
    targetLength,
    source,
    sourceMask,
    sourceLengths,
    targetInput,
    targetOutput,
    targetMask,
    targetLengths,
    sourceTokens: sum(sourceLengths),
    targetTokens: sum(targetLengths),
    indices: Int32Array.from(options.indices ?? { length: rows }, (value, row) => value ?? row),
  };
}

function fit(name: string, wanted: number | undefined, lengths: Int32Array): number {
  const shortest = lengths.reduce((least, length) => Math.min(least, length), Infinity);
  const longest = lengths.reduce((most, length) => Math.max(most, length), 0);
  if (shortest < 1) {
    throw new XMoEError('value', 'a pair has an empty side', {
      op: 'collatePairs',
      hint: 'each side holds at least its end-of-sentence token',
    });
  }
  if (wanted === undefined || wanted >= longest) return wanted ?? longest;
  throw new XMoEError('value', `${name} is ${wanted} and a row has ${longest} tokens`, {
    op: 'collatePairs',
    hint: 'make the rows longer, or leave such pairs out',
  });
}

const sum = (values: Int32Array): number => values.reduce((total, value) => total + value, 0);
