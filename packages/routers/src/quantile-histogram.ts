// Quantiles by histograms of whole numbers, which add up to the same in any order: what bias each token would have asked of each expert, and
// the bias that gives every expert its share.
import {
  add, argMax, bincount, cast, cumsum, divide, floorDivide, greater, greaterEqual, max, maximum, mean, min, minimum, multiply, reshape, select, slice,
  subtract, takeAlongLast, type Tensor,
} from '@xmoe/core';
import { HISTOGRAM_BINS } from './reference/histogram.js';
import { asColumn, type RouterInput } from './router.js';

export { HISTOGRAM_BINS };

/**
 * How many real tokens would have needed which bias of each expert to take it: cutoff − score, in {@link HISTOGRAM_BINS} equal bins from
 * min(bias) − 1 to max(bias) + 1; that holds all for scores from 0 to 1. Scores [T, N], bias [N], cutoff [T, 1] → int32 [N, bins].
 */
export function biasHistogram(input: RouterInput, scores: Tensor, bias: Tensor, cutoff: Tensor): Tensor {
  const { lowest, width } = rangeOf(bias);
  const scale = divide(HISTOGRAM_BINS, width); // [1, 1]
  // Few passes over [T, N]: (cutoff − lowest) · scale is of the row alone. No place is below 0 but by rounding.
  return countsPerExpert(input, subtract(multiply(subtract(cutoff, lowest), scale), multiply(scores, scale)));
}

/** Places [T, N], in bins from the left, counted by expert over real tokens: int32 [N, bins]. Those outside are in the first bin and the last. */
export function countsPerExpert({ engine, experts, mask }: RouterInput, places: Tensor): Tensor {
  const at = cast(minimum(maximum(places, 0), HISTOGRAM_BINS - 1), 'int32');
  const first = multiply(reshape(engine.iota(experts), [1, experts]), HISTOGRAM_BINS);
  const bins = add(at, first);
  return reshape(bincount(mask ? select(asColumn(mask), bins, -1) : bins, experts * HISTOGRAM_BINS), [experts, HISTOGRAM_BINS]);
}

/** The k/N quantile of each row of a histogram by {@link biasHistogram}, less their mean, [N]; and where anything was counted, bool [N]. */
export function quantileBias(bias: Tensor, histogram: Tensor, k: number): { bias: Tensor; seen: Tensor } {
  const [experts] = histogram.shape as [number, number];
  const { lowest, width } = rangeOf(bias);
  const { place, total } = quantilePlaces(histogram, k, experts);
  const found = reshape(add(lowest, multiply(width, divide(place, HISTOGRAM_BINS))), [experts]);
  return { bias: subtract(found, mean(found)), seen: greater(reshape(total, [experts]), 0) };
}

interface Place {
  /** float32 [N, 1] */
  readonly place: Tensor;
  /** Counts of each row, int32 [N, 1]. */
  readonly total: Tensor;
}

/** Where in its bins the share k/N of each row of a histogram [N, bins] lies, in bins from the left, with fractions. */
export function quantilePlaces(histogram: Tensor, k: number, experts: number): Place {
  const sums = cumsum(histogram);
  const total = lastOf(sums);
  const share = multiply(total, k); // times N: whole numbers
  const least = floorDivide(add(share, experts - 1), experts);
  return { place: placeWithin(histogram, sums, greaterEqual(sums, least), divide(cast(share, 'float32'), experts)), total };
}

/** Where in its bins so many counts of each row lie, as {@link quantilePlaces} says it: `wanted` float32 [N, 1] → [N, 1]. */
export function placeOf(histogram: Tensor, wanted: Tensor): Tensor {
  const sums = cumsum(histogram);
  return placeWithin(histogram, sums, greaterEqual(cast(sums, 'float32'), wanted), wanted);
}

function lastOf(sums: Tensor): Tensor {
  const [rows, bins] = sums.shape as [number, number];
  return slice(sums, [0, bins - 1], [rows, 1]);
}

/** The first bin of each row whose sum has `reached` the counts `wanted` [N, 1], and the part of it that these take. */
function placeWithin(histogram: Tensor, sums: Tensor, reached: Tensor, wanted: Tensor): Tensor {
  const bin = reshape(argMax(cast(reached, 'int32')), [histogram.shape[0]!, 1]);
  const own = takeAlongLast(histogram, bin);
  const before = cast(subtract(takeAlongLast(sums, bin), own), 'float32');
  return add(cast(bin, 'float32'), divide(subtract(wanted, before), maximum(cast(own, 'float32'), 1)));
}

/** Where the bins begin, and how far they reach: float32 [1, 1] each. */
function rangeOf(bias: Tensor): { lowest: Tensor; width: Tensor } {
  const one = (tensor: Tensor): Tensor => reshape(tensor, [1, 1]);
  const lowest = subtract(one(min(bias)), 1);
  return { lowest, width: subtract(add(one(max(bias)), 1), lowest) };
}
