// Groups pairs of similar lengths into batches of few distinct shapes within a token budget. Works on lengths alone: no
// tokens, no randomness, no files.
import { XMoEError } from '@xmoe/core';
import type { BatchShape, BatchShapeOptions } from './parallel-batch.js';

/** A batch to be: pair numbers and row lengths. */
export interface PlannedBatch {
  readonly sourceLength: number;
  readonly targetLength: number;
  readonly members: Int32Array;
}

export interface PairLengths {
  /** Tokens per pair, end of sentence included. */
  readonly sourceLengths: ArrayLike<number>;
  readonly targetLengths: ArrayLike<number>;
}

export interface BatchPlanner {
  /** The batches of the pairs `order`, each of them once; their number and shapes do not depend on the order. */
  plan(order: Int32Array): PlannedBatch[];
  /** Row lengths in use, ascending. */
  readonly lengths: readonly number[];
  /** Pairs that fit, ascending. */
  readonly eligible: Int32Array;
}

/**
 * Rows are padded to the next of a few lengths, sources and targets on their own, and B is as large as the budget of
 * the larger side allows. What does not fill a batch of its shape goes into square batches (S = T) of the next larger
 * length, and so on; only the last of these may have fewer rows.
 */
export function createBatchPlanner(
  pairs: PairLengths,
  options: BatchShapeOptions & { indices?: ArrayLike<number> },
  op: string,
): BatchPlanner {
  const longer = (pair: number): number => Math.max(pairs.sourceLengths[pair], pairs.targetLengths[pair]);
  const candidates = Int32Array.from(options.indices ?? { length: pairs.sourceLengths.length }, (value, i) => value ?? i);
  const limit = options.maximumLength ?? candidates.reduce((most, pair) => Math.max(most, longer(pair)), 1);
  const lengths = rowLengths(limit, options, op);
  const eligible = candidates.filter((pair) => longer(pair) <= limit);
  const step = stepOf(lengths);
  const rowsOf = (length: number): number =>
    Math.max(1, Math.min(Math.floor(options.maxTokens / length), options.maxRows ?? Infinity));

  const plan = (order: Int32Array): PlannedBatch[] => {
    const batches: PlannedBatch[] = [];
    const cells = new Map<number, number[]>(); // by source step · steps + target step
    const add = (members: number[], pair: number, source: number, target: number) => {
      members.push(pair);
      if (members.length < rowsOf(lengths[Math.max(source, target)])) return;
      batches.push(batchOf(members, lengths[source], lengths[target]));
      members.length = 0;
    };
    for (const pair of order) {
      const [source, target] = [step[pairs.sourceLengths[pair]], step[pairs.targetLengths[pair]]];
      const key = source * lengths.length + target;
      let members = cells.get(key);
      if (members === undefined) cells.set(key, (members = []));
      add(members, pair, source, target);
    }
    const rest: number[][] = lengths.map(() => []);
    for (const key of [...cells.keys()].sort((a, b) => a - b)) {
      const members = rest[Math.max(Math.floor(key / lengths.length), key % lengths.length)];
      for (const pair of cells.get(key)!) members.push(pair);
    }
    const largest = rest.findLastIndex((members) => members.length > 0);
    for (let at = 0; at <= largest; at++) {
      const members: number[] = [];
      for (const pair of rest[at]) add(members, pair, at, at);
      if (at < largest) rest[at + 1] = [...members, ...rest[at + 1]];
      else if (members.length > 0) batches.push(batchOf(members, lengths[at], lengths[at]));
    }
    return batches;
  };
  return { plan, lengths, eligible };
}

function batchOf(members: readonly number[], sourceLength: number, targetLength: number): PlannedBatch {
  return { sourceLength, targetLength, members: Int32Array.from(members) };
}

/** 8, 12, 16, 24, 32, 48, … and `limit` itself. */
function rowLengths(limit: number, { maxTokens, lengths, maxRows }: BatchShapeOptions, op: string): number[] {
  for (const [name, value] of Object.entries({ maxTokens, maximumLength: limit, maxRows: maxRows ?? 1 })) {
    if (Number.isInteger(value) && value >= 1) continue;
    throw new XMoEError('value', `${name} is ${value}`, { op, hint: 'pass an integer from 1' });
  }
  if (maxTokens < limit) {
    throw new XMoEError('value', `maxTokens is ${maxTokens}, and a row may have ${limit} tokens`, {
      op,
      hint: 'raise the token budget, or lower maximumLength to skip long pairs',
    });
  }
  if (lengths !== undefined) {
    const wrong = lengths.findIndex((value, i) => !Number.isInteger(value) || value <= (i === 0 ? 0 : lengths[i - 1]));
    if (wrong >= 0) {
      throw new XMoEError('value', `lengths[${wrong}] is ${lengths[wrong]}`, { op, hint: 'pass ascending integers from 1' });
    }
    return [...lengths.filter((value) => value < limit), limit];
  }
  const chosen: number[] = [];
  for (let power = 8; power < limit; power *= 2) chosen.push(power, power * 1.5);
  return [...chosen.filter((value) => value < limit), limit];
}

/** From a number of tokens to the position of the row length that takes it. */
function stepOf(lengths: readonly number[]): Uint16Array {
  const step = new Uint16Array(lengths.at(-1)! + 1);
  let at = 0;
  for (let tokens = 0; tokens < step.length; tokens++) {
    if (tokens > lengths[at]) at++;
    step[tokens] = at;
  }
  return step;
}

/** Distinct shapes, the most frequent first. */
export function shapesOf(batches: readonly PlannedBatch[]): BatchShape[] {
  const shapes = new Map<string, { rows: number; sourceLength: number; targetLength: number; batches: number }>();
  for (const { members, sourceLength, targetLength } of batches) {
    const key = `${members.length} ${sourceLength} ${targetLength}`;
    const shape = shapes.get(key);
    if (shape === undefined) shapes.set(key, { rows: members.length, sourceLength, targetLength, batches: 1 });
    else shape.batches++;
  }
  return [...shapes.values()].sort((a, b) => b.batches - a.batches);
}

/** Share of batch places that hold a real token. */
export function efficiencyOf(batches: readonly PlannedBatch[], { sourceLengths, targetLengths }: PairLengths): number {
  let [real, places] = [0, 0];
  for (const { members, sourceLength, targetLength } of batches) {
    for (const pair of members) real += sourceLengths[pair] + targetLengths[pair];
    places += members.length * (sourceLength + targetLength);
  }
  return places === 0 ? 1 : real / places;
}
