// Training batches: every epoch a seeded permutation of windows that cut the split at a random phase. Host work only; the
// state is a few numbers, and going on from it gives the same batches as never having stopped.
import { foldIn, hostPermutation, hostUniform, randomKey, XMoEError } from '@xmoe/core';
import type { TokenSplit } from './token-split.js';

export interface BatchSamplerOptions {
  split: TokenSplit;
  /** B: windows per batch. */
  batchSize: number;
  /** T: tokens per window that are predicted. */
  sequenceLength: number;
  /** An integer ≥ 0. */
  seed: number;
}

/** One batch, row-major [B, T]; `targets` are `inputs` one token later. */
export interface TokenBatch {
  readonly inputs: Int32Array;
  readonly targets: Int32Array;
}

/** Where a sampler stands; safe to write as JSON. */
export interface BatchSamplerState {
  readonly epoch: number;
  /** Windows taken in this epoch. */
  readonly position: number;
  // What the position refers to; checked when restoring.
  readonly seed: number;
  readonly sequenceLength: number;
  readonly splitLength: number;
}

export interface BatchSampler {
  next(): TokenBatch;
  state(): BatchSamplerState;
  /** Goes on from `state`. Throws when it belongs to another split, seed or sequence length. */
  restore(state: BatchSamplerState): void;
  /** Whole and partial epochs so far. */
  readonly epochs: number;
}

/**
 * Windows of T + 1 tokens, T apart, so that no two predict the same token: an epoch predicts each token after its phase
 * at most once. The phase is uniform in 0 … T − 1 and new in every epoch, as is the order. A batch may hold the end of
 * one epoch and the beginning of the next. Another batch size changes how windows are grouped, not their order.
 */
export function createBatchSampler({ split, batchSize, sequenceLength, seed }: BatchSamplerOptions): BatchSampler {
  checkOptions(split, batchSize, sequenceLength, seed);
  const windowTokens = sequenceLength + 1;
  const window = new Int32Array(windowTokens);
  let epoch = 0;
  let position = 0;
  let plan = planEpoch(split.length, sequenceLength, seed, epoch);

  return {
    next() {
      const inputs = new Int32Array(batchSize * sequenceLength);
      const targets = new Int32Array(batchSize * sequenceLength);
      for (let row = 0; row < batchSize; row++) {
        if (position === plan.order.length) {
          position = 0;
          plan = planEpoch(split.length, sequenceLength, seed, ++epoch);
        }
        split.read(plan.phase + plan.order[position++] * sequenceLength, windowTokens, window);
        inputs.set(window.subarray(0, sequenceLength), row * sequenceLength);
        targets.set(window.subarray(1), row * sequenceLength);
      }
      return { inputs, targets };
    },
    state: () => ({ epoch, position, seed, sequenceLength, splitLength: split.length }),
    restore(state) {
      const restored = checkState(state, { seed, sequenceLength, splitLength: split.length });
      const restoredPlan = planEpoch(split.length, sequenceLength, seed, restored.epoch);
      if (restored.position > restoredPlan.order.length) {
        throw stateError(`position ${restored.position} lies beyond the ${restoredPlan.order.length} windows of the epoch`);
      }
      ({ epoch, position } = restored);
      plan = restoredPlan;
    },
    get epochs() {
      return epoch + position / plan.order.length;
    },
  };
}

interface EpochPlan {
  /** First token of the first window. */
  readonly phase: number;
  /** Window numbers in the order they are taken. */
  readonly order: Int32Array;
}

function planEpoch(length: number, sequenceLength: number, seed: number, epoch: number): EpochPlan {
  const key = foldIn(foldIn(randomKey(seed), 'batch-sampler'), epoch);
  const phases = Math.min(sequenceLength, length - sequenceLength); // how many leave room for a window
  const phase = Math.floor(hostUniform(foldIn(key, 'phase'), 1)[0] * phases);
  const windows = Math.floor((length - 1 - phase) / sequenceLength);
  return { phase, order: hostPermutation(foldIn(key, 'order'), windows) };
}

function checkOptions(split: TokenSplit, batchSize: number, sequenceLength: number, seed: number): void {
  const sizes = { batchSize, sequenceLength };
  for (const [name, value] of Object.entries(sizes)) {
    if (Number.isInteger(value) && value >= 1) continue;
    throw new XMoEError('value', `${name} is ${value}`, { op: 'createBatchSampler', hint: 'pass an integer from 1' });
  }
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new XMoEError('value', `seed is ${seed}`, { op: 'createBatchSampler', hint: 'pass an integer from 0' });
  }
  if (split.length > sequenceLength) return;
  throw new XMoEError(
    'data',
    `the ${split.name} split has ${split.length} tokens, fewer than a window of ${sequenceLength + 1}`,
    { op: 'createBatchSampler', hint: 'shorten the sequence, or give more text' },
  );
}

function checkState(
  state: BatchSamplerState,
  expected: Omit<BatchSamplerState, 'epoch' | 'position'>,
): BatchSamplerState {
  for (const name of ['seed', 'sequenceLength', 'splitLength'] as const) {
    if (state[name] !== expected[name]) throw stateError(`${name} was ${state[name]} and is now ${expected[name]}`);
  }
  for (const name of ['epoch', 'position'] as const) {
    if (!Number.isSafeInteger(state[name]) || state[name] < 0) throw stateError(`${name} is ${state[name]}`);
  }
  return state;
}

function stateError(problem: string): XMoEError {
  return new XMoEError('data', `the saved position in the data does not fit: ${problem}`, {
    op: 'createBatchSampler',
    hint: 'resume with the data, seed and sequence length of the saved run, or start a new run',
  });
}
