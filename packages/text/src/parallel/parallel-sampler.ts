// Training and evaluation batches of token pairs. Training: every epoch each pair once, in batches of similar lengths,
// pairs and batches in a seeded order; the state is a few numbers, and going on from it gives the same batches as never
// having stopped. Host work only.
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import { foldIn, hostPermutation, randomKey, XMoEError } from '@xmoe/core';
import { createBatchPlanner, efficiencyOf, shapesOf, type BatchPlanner, type PlannedBatch } from './batch-plan.js';
import { collatePairs } from './collate-pairs.js';
import type {
  EvaluationBatchOptions,
  ParallelBatch,
  ParallelSampler,
  ParallelSamplerOptions,
  ParallelSamplerState,
  ParallelSplit,
} from './parallel-batch.js';
import type { TranslationTokens } from './special-tokens.js';

const OP = 'createParallelSampler';

/** A sampler over `split`. Throws when no pair fits. */
export function createParallelSampler(options: ParallelSamplerOptions): ParallelSampler {
  const { split, tokens, seed } = options;
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new XMoEError('value', `seed is ${seed}`, { op: OP, hint: 'pass an integer from 0' });
  }
  const planner = createBatchPlanner(split, options, OP);
  if (planner.eligible.length === 0) {
    throw new XMoEError('data', `the ${split.name} split has no pair that fits (${split.pairs} pairs)`, {
      op: OP,
      hint: 'give more text, or raise maximumLength',
    });
  }
  const planHash = hashPlan(split, options, planner);
  let epoch = 0;
  let position = 0;
  let batches = planEpoch(planner, seed, epoch);

  return {
    next() {
      if (position === batches.length) {
        position = 0;
        batches = planEpoch(planner, seed, ++epoch);
      }
      return materialise(batches[position++], split, tokens);
    },
    state: () => ({ epoch, position, seed, pairs: split.pairs, plan: planHash }),
    restore(state) {
      checkState(state, { seed, pairs: split.pairs, plan: planHash }, batches.length);
      ({ epoch, position } = state);
      batches = planEpoch(planner, seed, epoch);
    },
    get epochs() {
      return epoch + position / batches.length;
    },
    batchesPerEpoch: batches.length,
    shapes: shapesOf(batches),
    efficiency: efficiencyOf(batches, split),
    skipped: split.pairs - planner.eligible.length,
  };
}

/** Each pair once, shorter ones first, in the same shapes as training; pairs longer than `maximumLength` are left out. */
export function* evaluationBatches(options: EvaluationBatchOptions): Generator<ParallelBatch> {
  const { split, tokens } = options;
  const planner = createBatchPlanner(split, options, 'evaluationBatches');
  if (planner.eligible.length === 0) return;
  for (const batch of planner.plan(planner.eligible)) yield materialise(batch, split, tokens);
}

function materialise(batch: PlannedBatch, split: ParallelSplit, tokens: TranslationTokens): ParallelBatch {
  const { members, sourceLength, targetLength } = batch;
  const pairs = Array.from(members, (index) => split.read(index));
  return collatePairs(pairs, tokens, { sourceLength, targetLength, indices: members });
}

function planEpoch(planner: BatchPlanner, seed: number, epoch: number): PlannedBatch[] {
  const key = foldIn(foldIn(randomKey(seed), 'parallel-sampler'), epoch);
  const order = hostPermutation(foldIn(key, 'pairs'), planner.eligible.length).map((at) => planner.eligible[at]);
  const batches = planner.plan(order);
  return Array.from(hostPermutation(foldIn(key, 'batches'), batches.length), (at) => batches[at]);
}

function hashPlan(split: ParallelSplit, { maxTokens, maxRows }: ParallelSamplerOptions, planner: BatchPlanner): string {
  const hash = sha256.create().update(utf8ToBytes(JSON.stringify([maxTokens, maxRows ?? null, planner.lengths])));
  for (const lengths of [split.sourceLengths, split.targetLengths]) {
    hash.update(new Uint8Array(lengths.buffer, lengths.byteOffset, lengths.byteLength));
  }
  return bytesToHex(hash.digest()).slice(0, 16);
}

function checkState(
  state: ParallelSamplerState,
  expected: Pick<ParallelSamplerState, 'seed' | 'pairs' | 'plan'>,
  batches: number,
): void {
  const fail = (problem: string): never => {
    throw new XMoEError('data', `the saved position in the pairs does not fit: ${problem}`, {
      op: OP,
      hint: 'resume with the data, seed and token budget of the saved run, or start a new run',
    });
  };
  if (state.seed !== expected.seed) fail(`seed was ${state.seed} and is now ${expected.seed}`);
  if (state.pairs !== expected.pairs) fail(`it was in ${state.pairs} pairs and there are ${expected.pairs}`);
  if (state.plan !== expected.plan) fail('the lengths of the pairs, the token budget or the row lengths have changed');
  for (const name of ['epoch', 'position'] as const) {
    if (!Number.isSafeInteger(state[name]) || state[name] < 0) fail(`${name} is ${state[name]}`);
  }
  if (state.position > batches) fail(`position ${state.position} lies beyond the ${batches} batches of the epoch`);
}
