// The null-experts router on plain arrays, and what moves its bias.
import { XMoEError, requireFinite, requireFlag, requireInteger, requireOptions } from '@xmoe/core';
import { type GateOptions, rankExperts, softmaxGate } from './gate.js';
import { binOf, nextForecast, placeOf } from './histogram.js';
import type { Logits } from './logits.js';
import { type PlainState, type Routing, buildRouting, rowOf } from './routing.js';

/** Bins of margins, which are differences of logits. */
export const MARGIN_BINS = 8000;
export const MARGIN_RANGE = { lowest: -16, highest: 16 } as const;

export interface NullExpertsOptions extends GateOptions {
  /** Choices of a token, null experts among them: 1 to N. */
  readonly k: number;
  /** Experts per token on average: above 0, at most k. */
  readonly target: number;
  /** How many null experts there are. Default: N·(k − target) / target, at least 1. */
  readonly nullExperts?: number;
  /** Divide the weights of a token by the sum over its k choices. Default false. */
  readonly renormalize?: boolean;
  readonly training?: boolean;
  /** `bias` of the null experts [1]. Default: 0. */
  readonly state?: PlainState;
}

/** Z for N experts. */
export function nullExpertsOf({ k, target, nullExperts }: Pick<NullExpertsOptions, 'k' | 'target' | 'nullExperts'>, experts: number): number {
  return nullExperts ?? Math.max(1, Math.round((experts * (k - target)) / target));
}

/** N from the columns of the logits, N + Z. */
function expertsOf(options: NullExpertsOptions, columns: number): number {
  for (let experts = 1; experts < columns; experts++) if (experts + nullExpertsOf(options, experts) === columns) return experts;
  throw new XMoEError('shape', `logits have ${columns} columns, which no number of experts and null experts adds up to`, { op: 'route', hint: 'pass logits [T, N + nullExperts]' });
}

/**
 * The k largest of logits [T, N + Z] with the bias on the last Z, which stand for no expert and are left out. Weights are p over all columns. In
 * training with `histogram` [bins] of the biases below which choices are of experts.
 */
export function routeNullExperts(logits: Logits, options: NullExpertsOptions): Routing {
  requireOptions('route', options);
  const all = softmaxGate(logits, options);
  const { tokens: T, experts: columns, mask, precision } = all;
  const round = precision === 'float32' ? Math.fround : (value: number): number => value;
  requireFinite('route', 'target', options.target);
  if (options.nullExperts !== undefined) requireInteger('route', 'nullExperts', options.nullExperts, 1);
  const k = requireInteger('route', 'k', options.k, 1);
  const N = expertsOf(options, columns);
  requireInteger('route', 'k', k, 1, N);
  const [bias] = (options.state?.bias ?? [0]) as [number];
  const gate = softmaxGate({ values: all.logits.filter((_, index) => index % columns < N), tokens: T, experts: N }, options);
  const competitions = Array.from({ length: T }, (_, token) => compete(rowOf(all.logits, token, columns), N, k, bias, round));
  const nullIds = competitions.map(({ nulls }, token) => (mask[token] === 0 ? [] : nulls));
  const routing = buildRouting(gate, {
    maxChoices: k,
    weightSource: requireFlag('route', 'renormalize', options.renormalize ?? false) ? 'softmax-share' : 'softmax',
    choose: (token) => competitions[token]!.chosen,
    weight: (token, expert) => all.probabilities[token * columns + expert]!,
    nulls: { gate: all, ids: nullIds },
  });
  if (!requireFlag('route', 'training', options.training ?? false)) return routing;
  const histogram = new Array<number>(MARGIN_BINS).fill(0);
  const scale = round(MARGIN_BINS / (MARGIN_RANGE.highest - MARGIN_RANGE.lowest));
  competitions.forEach(({ margins }, token) => {
    if (mask[token] === 0) return;
    for (const margin of margins) histogram[binOf(round(round(margin - MARGIN_RANGE.lowest) * scale), MARGIN_BINS)]!++;
  });
  return { ...routing, statistics: { histogram } };
}

interface Competition {
  /** The experts that are taken, the best first. */
  readonly chosen: number[];
  /** Columns of the null experts that take the other choices. */
  readonly nulls: number[];
  /** [k]: below which bias the best, second, … expert is taken. */
  readonly margins: number[];
}

/** The k best of one row of logits, with the bias on the columns from N on; experts first where they are equal. */
function compete(row: Float64Array, N: number, k: number, bias: number, round: (value: number) => number): Competition {
  const best = rankExperts(row.subarray(0, N)).slice(0, k);
  const nulls = rankExperts(row.subarray(N)).map((index) => N + index);
  // The j-th expert is taken unless the nulls before its last place are all better.
  const margins = best.map((expert, j) => {
    const rival = nulls[k - 1 - j];
    return rival === undefined ? Infinity : round(row[expert]! - row[rival]!);
  });
  const chosen = best.filter((_, j) => margins[j]! >= bias);
  return { chosen, nulls: nulls.slice(0, k - chosen.length), margins };
}

/** The state after an update: a forecast of the bias with which tokens would have taken `target` experts on average. Without a token nothing changes. */
export function nextNullExperts(
  { k, target, decay = 0.9 }: Pick<NullExpertsOptions, 'k' | 'target'> & { readonly decay?: number }, state: PlainState, sums: PlainState,
): PlainState {
  const [bias, trend, updates] = [state.bias![0]!, state.trend![0]!, state.updates![0]!];
  const total = sums.histogram!.reduce((sum, count) => sum + count, 0);
  const place = placeOf(sums.histogram!, (total * (k - target)) / k);
  if (place === null) return state;
  const q = MARGIN_RANGE.lowest + (place * (MARGIN_RANGE.highest - MARGIN_RANGE.lowest)) / MARGIN_BINS;
  const next = nextForecast({ value: bias, trend }, q, updates, decay);
  return { bias: [next.value], trend: [next.trend], updates: [updates + 1] };
}
