// Batched beam search: encodes once, then one decoder step per position for all hypotheses of the sources that are not done.
// The device ranks the vocabulary; the host reads a few candidates per hypothesis. The rules are in beam.ts.
import { concat, crossEntropy, reshape, slice, takeAlongLast, topK, XMoEError, type FloatDType, type Tensor } from '@xmoe/core';
import type { SequenceBatch } from '../models/encoder-decoder.js';
import { createBeam, type Beam, type BeamSettings, type Continuations } from './beam.js';
import type { RowSelection } from './decoder-state.js';
import { decodingContext, openDecoding, type DecodedModel } from './decoding-session.js';
import { checkLimits, notNumbers, type DecodingLimits, type Hypothesis } from './hypothesis.js';

export interface BeamSearchOptions extends DecodingLimits {
  /** Default 5; 1 is greedy. */
  readonly beam?: number;
  /** How many hypotheses of each source to return, at most `beam`. Default 1. */
  readonly nBest?: number;
  /** α of score = log p / length^α, the end counted; 0 compares log p alone. Default 1. */
  readonly lengthPenalty?: number;
  readonly computeDType?: FloatDType;
  /** Awaited before each position: lets others run, or raises to stop. */
  readonly onStep?: () => Promise<void> | void;
}

const OP = 'beamSearch';

/**
 * The best hypotheses of each source, best first; see {@link createBeam} for the rules. With a model that drops no claims, a
 * source's result does not depend on the others.
 * @throws XMoEError `value` for options that make no sense, `numerics` when the model gives NaN
 */
export async function beamSearch<Trace>(decoded: DecodedModel<Trace>, source: SequenceBatch, options: BeamSearchOptions): Promise<Hypothesis[][]> {
  const { startToken, endToken, maxLengths, computeDType = 'float32' } = options;
  const settings = checkOptions(options, source.shape.batch);
  const beams = maxLengths.map((maxLength) => createBeam({ ...settings, maxLength }));
  const width = Math.min(decoded.model.config.vocabularySize, settings.beam + 1 + settings.forbiddenTokens.length);
  const session = openDecoding(decoded, source, decodingContext(computeDType));
  let step: Step = { active: beams, height: 1, selection: { rows: beams.map((_, index) => index) }, tokens: beams.map(() => startToken) };
  try {
    while (step.active.length > 0) {
      await options.onStep?.();
      const rows = await readRows(session.step(step.selection, step.tokens, (logits) => bestTokens(logits, width, endToken)), width);
      step.active.forEach((beam, index) => beam.advance(rows.slice(index * step.height, (index + 1) * step.height)));
      step = nextStep(step, endToken);
    }
  } finally {
    session.close();
  }
  return beams.map((beam) => beam.best());
}

/** What the device computes next: `height` rows for each source that is not done. */
interface Step {
  active: Beam[];
  height: number;
  selection: RowSelection;
  tokens: number[];
}

function nextStep({ active, height: before }: Step, filler: number): Step {
  const sequences = active.flatMap((beam, index) => (beam.done ? [] : [index]));
  const staying = sequences.map((index) => active[index]!);
  const height = staying.reduce((most, beam) => Math.max(most, beam.live.length), 0);
  // A beam with fewer hypotheses than another has idle rows, which it never looks at.
  const rowsOf = sequences.flatMap((index) => Array.from({ length: height }, (_, row) => ({ live: active[index]!.live[row], first: index * before })));
  return {
    active: staying,
    height,
    selection: { rows: rowsOf.map(({ live, first }) => first + (live?.parent ?? 0)), sequences },
    tokens: rowsOf.map(({ live }) => live?.tokens.at(-1) ?? filler),
  };
}

/**
 * Of each row of logits [R, V]: the ids of the k likeliest tokens, int32 [R, k], and float32 [R, k + 2] with their logits,
 * that of the end, and −log p of the first.
 */
function bestTokens(logits: Tensor, k: number, endToken: number): { numbers: Tensor; tokens: Tensor } {
  const rows = logits.shape[0]!;
  const { values, indices } = topK(logits, k);
  const loss = crossEntropy(logits, reshape(slice(indices, [0, 0], [rows, 1]), [rows]));
  const end = takeAlongLast(logits, logits.engine.full([rows, 1], endToken, 'int32'));
  return { numbers: concat([values, end, reshape(loss, [rows, 1])], 1), tokens: indices };
}

/** Reads what {@link bestTokens} made, and frees it. */
async function readRows(best: ReturnType<typeof bestTokens>, k: number): Promise<Continuations[]> {
  const [numbers, tokens] = await Promise.all([best.numbers.data(), best.tokens.data()]);
  best.numbers.dispose();
  best.tokens.dispose();
  return Array.from({ length: tokens.length / k }, (_, row) => {
    const [first, ...rest] = numbers.slice(row * (k + 2), (row + 1) * (k + 2));
    const loss = rest.pop()!;
    if (Number.isNaN(loss)) throw notNumbers(OP);
    const [end, ...others] = [rest.pop()!, first!, ...rest].map((logit) => logit - first! - loss);
    return { tokens: tokens.subarray(row * k, (row + 1) * k), logProbabilities: others, end: end! };
  });
}

function checkOptions(options: BeamSearchOptions, sources: number): Omit<BeamSettings, 'maxLength'> {
  const { beam = 5, nBest = 1, lengthPenalty = 1, endToken, forbiddenTokens = [] } = options;
  const fail = (problem: string, hint: string): never => {
    throw new XMoEError('value', problem, { op: OP, hint });
  };
  checkLimits(OP, options, sources);
  if (!Number.isInteger(beam) || beam < 1) fail(`the beam is ${beam}`, 'pass a whole number from 1');
  if (!Number.isInteger(nBest) || nBest < 1 || nBest > beam) fail(`nBest is ${nBest} with a beam of ${beam}`, 'pass a whole number from 1 to the beam');
  if (!Number.isFinite(lengthPenalty)) fail(`the length penalty is ${lengthPenalty}`, 'pass a number; 1 divides by the length');
  return { beam, nBest, lengthPenalty, endToken, forbiddenTokens };
}
