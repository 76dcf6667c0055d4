// Balanced linear assignment by auction (Bertsekas & Castañon, 1989, "similar objects"), for the BASE router. A plain
// function on typed arrays: the tensor router runs it on the host. Within T·epsilon of the optimum; the exact solver is
// optimal-assignment.ts.
//
// An expert sells q = ⌊T/N⌋ places to tokens only. When N does not divide T it sells one more place, which may also go
// to one of the N − (T mod N) dummies that make supply equal demand; so every expert ends with ⌊T/N⌋ or ⌈T/N⌉ tokens.
import { XMoEError, requireInteger, requireOptions } from '@xmoe/core';
import { requireLength } from './checks.js';
import { type Mask, readMask } from './logits.js';

export interface AuctionOptions {
  /** Padding tokens (0 or false) are assigned to no expert. */
  readonly mask?: Mask;
  /**
   * The bidding step in logit units; the score is within T·epsilon of the optimum. Default: 1e-5 of the range of
   * the logits. Steps finer than 1e-9 of the range are rounded up to it, so that prices always grow in float64.
   */
  readonly epsilon?: number;
}

const FINEST_STEP = 1e-9;
const SCALING = 5; // each phase bids in steps a fifth of the one before
const NOBODY = -1;

/**
 * Assigns every real token to one expert so that all experts get equally many (⌊T/N⌋ or ⌈T/N⌉) and the summed logits are
 * within T·epsilon of the best possible. Deterministic; terminates for every finite input.
 * @param logits [T, N], row-major, finite
 * @returns the expert of each token [T]; −1 for padding tokens
 * @throws XMoEError on bad sizes, a logit that is not finite, or an epsilon that is not positive
 */
export function auctionAssign(logits: ArrayLike<number>, T: number, N: number, options: AuctionOptions = {}): Int32Array {
  requireInteger('auctionAssign', 'T', T, 0);
  requireInteger('auctionAssign', 'N', N, 1);
  requireOptions('auctionAssign', options);
  requireLength('auctionAssign', logits, T * N);
  const mask = readMask(options.mask, T);
  const bidders = Int32Array.from(mask.keys()).filter((token) => mask[token] === 1);
  const { values, range } = normalise(logits, bidders, N);
  const assigned = new Int32Array(T).fill(NOBODY);
  if (bidders.length === 0) return assigned;
  if (N === 1 || range === 0) {
    bidders.forEach((token, position) => (assigned[token] = position % N)); // every balanced assignment is optimal
    return assigned;
  }
  const market = openMarket(values, bidders.length, N);
  const epsilon = readEpsilon(options.epsilon, range) * (bidders.length / market.people);
  const finest = Math.max(epsilon, FINEST_STEP);
  for (let step = Math.max(finest, 1 / SCALING); ; step = Math.max(finest, step / SCALING)) {
    holdAuction(market, step);
    if (step === finest) break;
  }
  market.holder.forEach((person, place) => {
    if (person < bidders.length) assigned[bidders[person]] = market.expertOf[market.lotOf[place]];
  });
  return assigned;
}

/** The summed logits of an assignment [T], as {@link auctionAssign} returns it; −1 counts nothing. */
export function assignmentScore(logits: ArrayLike<number>, N: number, assigned: ArrayLike<number>): number {
  let score = 0;
  for (let token = 0; token < assigned.length; token++) {
    if (assigned[token] >= 0) score += logits[token * N + assigned[token]];
  }
  return score;
}

/** The bidders' logits scaled to [0, 1], and the range they had. */
function normalise(logits: ArrayLike<number>, bidders: Int32Array, N: number): { values: Float64Array; range: number } {
  const values = new Float64Array(bidders.length * N); // [bidders, N]
  let [low, high] = [Infinity, -Infinity];
  bidders.forEach((token, row) => {
    for (let expert = 0; expert < N; expert++) {
      const logit = logits[token * N + expert];
      if (!Number.isFinite(logit)) {
        const message = `logits[${token}][${expert}] is ${logit}, not a finite number`;
        throw new XMoEError('value', message, { op: 'auctionAssign' });
      }
      values[row * N + expert] = logit;
      low = Math.min(low, logit);
      high = Math.max(high, logit);
    }
  });
  const half = high / 2 - low / 2; // halves, because high − low may overflow
  if (half > 0) values.forEach((value, index) => (values[index] = (value / 2 - low / 2) / half));
  return { values, range: bidders.length === 0 ? 0 : half * 2 };
}

function readEpsilon(epsilon: number | undefined, range: number): number {
  if (epsilon === undefined) return 1e-5;
  if (typeof epsilon === 'number' && epsilon > 0) return Math.min(1, epsilon / range);
  throw new XMoEError('value', `epsilon is ${epsilon}, not a positive number`, { op: 'auctionAssign' });
}

/** Places for sale. A lot is a run of places of one expert open to the same people; they differ in price only. */
interface Market {
  /** [bidders, N] in [0, 1]. */
  readonly values: Float64Array;
  readonly N: number;
  readonly bidders: number;
  /** Bidders and dummies: as many as places. */
  readonly people: number;
  /** Lots before this one are closed to dummies. */
  readonly firstOpenLot: number;
  /** [lots]. */
  readonly expertOf: Int32Array;
  /** [lots + 1]: where the places of a lot begin. */
  readonly start: Int32Array;
  /** [places]. */
  readonly lotOf: Int32Array;
  /** [places]: a binary heap per lot, the cheapest place first. */
  readonly price: Float64Array;
  readonly holder: Int32Array;
}

function openMarket(values: Float64Array, bidders: number, N: number): Market {
  const q = Math.floor(bidders / N);
  const closedLots = q > 0 ? N : 0;
  const openLots = bidders % N > 0 ? N : 0;
  const people = q * N + openLots;
  const lots = closedLots + openLots;
  const start = Int32Array.from({ length: lots + 1 }, (_, lot) => Math.min(lot, closedLots) * q + Math.max(0, lot - closedLots));
  const lotOf = new Int32Array(people);
  for (let lot = 0; lot < lots; lot++) lotOf.fill(lot, start[lot], start[lot + 1]);
  return {
    values,
    N,
    bidders,
    people,
    firstOpenLot: closedLots,
    expertOf: Int32Array.from({ length: lots }, (_, lot) => lot % N),
    start,
    lotOf,
    price: new Float64Array(people),
    holder: new Int32Array(people),
  };
}

/** One phase: everybody leaves, prices stay, and people bid in turn until each holds a place. */
function holdAuction(market: Market, step: number): void {
  const { people, start, price, holder } = market;
  holder.fill(NOBODY);
  for (let lot = 0; lot + 1 < start.length; lot++) price.fill(price[start[lot]], start[lot], start[lot + 1]);
  const queue = Int32Array.from({ length: people }, (_, person) => person); // a ring of those without a place
  let waiting = people;
  for (let head = 0; waiting > 0; head = (head + 1) % people) {
    const evicted = placeBid(market, queue[head], step);
    waiting--;
    if (evicted !== NOBODY) queue[(head + 1 + waiting++) % people] = evicted;
  }
}

/**
 * `person` takes the cheapest place of the best lot, at the price where the best *other* lot would be as good, plus `step`.
 * Leaving the same lot's places out of that comparison is what spares a price war over equal places.
 * @returns who held that place
 */
function placeBid(market: Market, person: number, step: number): number {
  const { values, N, bidders, expertOf, start, price, holder } = market;
  const isDummy = person >= bidders; // dummies value all open lots alike
  let [bestLot, best, second] = [-1, -Infinity, -Infinity];
  for (let lot = isDummy ? market.firstOpenLot : 0; lot + 1 < start.length; lot++) {
    const gain = (isDummy ? 0 : values[person * N + expertOf[lot]]) - price[start[lot]];
    if (gain > best) {
      second = best;
      best = gain;
      bestLot = lot;
    } else if (gain > second) {
      second = gain;
    }
  }
  const evicted = holder[start[bestLot]];
  replaceCheapest(market, bestLot, price[start[bestLot]] + (best - second) + step, person);
  return evicted;
}

/** Gives the root of a lot's heap to `person` at a higher price and restores the heap. */
function replaceCheapest({ start, price, holder }: Market, lot: number, bid: number, person: number): void {
  const base = start[lot];
  const size = start[lot + 1] - base;
  let place = 0;
  for (let child = 1; child < size; child = 2 * place + 1) {
    if (child + 1 < size && price[base + child + 1] < price[base + child]) child++;
    if (price[base + child] >= bid) break;
    price[base + place] = price[base + child];
    holder[base + place] = holder[base + child];
    place = child;
  }
  price[base + place] = bid;
  holder[base + place] = person;
}
