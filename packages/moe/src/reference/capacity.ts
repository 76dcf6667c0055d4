// How many claims an expert, or the whole layer, may keep. Exact integer arithmetic; no routing here.
import { XMoEError, requireFinite, requireInteger, requireOptions } from '@xmoe/core';

/** Claims that an expert may keep however few tokens there are, unless a layer says otherwise. */
export const MIN_CAPACITY = 4;

export interface CapacityOptions {
  /** Tokens in the routing group, padding included: shapes do not depend on the mask. */
  readonly T: number;
  readonly N: number;
  /** γ, above 0. Read as the decimal number it prints as: 1.1 is 11/10. */
  readonly capacityFactor: number;
  /** Default {@link MIN_CAPACITY}. */
  readonly minCapacity?: number;
}

/**
 * C = min(T, max(minCapacity, ⌈γ·T/N⌉)): the claims one expert may keep.
 * @throws XMoEError `value` when T, N or minCapacity is not an integer in range, or γ is not above 0
 */
export function capacityOf(options: CapacityOptions): number {
  requireOptions('capacity', options);
  const T = requireInteger('capacity', 'T', options.T, 0);
  const N = requireInteger('capacity', 'N', options.N, 1);
  const least = requireInteger('capacity', 'minCapacity', options.minCapacity ?? MIN_CAPACITY, 0);
  return Math.min(T, Math.max(least, ceilShare(options.capacityFactor, T, N)));
}

/** B = ⌈γ·T⌉: the claims a layer on the budget path may keep. @throws XMoEError as {@link capacityOf}. */
export function budgetOf(options: { readonly T: number; readonly capacityFactor: number }): number {
  requireOptions('capacity', options);
  return ceilShare(options.capacityFactor, requireInteger('capacity', 'T', options.T, 0), 1);
}

/** Tokens of one pool: T by default. @throws XMoEError `value` unless T tokens are whole pools */
export function poolOf(T: number, poolTokens = T): number {
  if (T === 0) return 0;
  const pool = requireInteger('capacity', 'poolTokens', poolTokens, 1);
  if (T % pool === 0) return pool;
  throw new XMoEError('value', `${T} tokens are not whole pools of ${pool}`, { op: 'capacity', hint: 'give every sequence equally many tokens, padding included' });
}

/**
 * ⌈γ·T/N⌉ with γ as the decimal it was written as. In floats 1.1 · 10 is 11.000000000000002, and its ceiling 12; the
 * double nearest to 1.1 is itself a little above 11/10. The shortest decimal that reads back as γ is what its author wrote.
 */
function ceilShare(capacityFactor: number, T: number, N: number): number {
  const gamma = requireFinite('capacity', 'capacityFactor', capacityFactor, 'pass γ as a number, for example 1.25');
  if (gamma <= 0) {
    throw new XMoEError('value', `capacityFactor is ${gamma}, not above 0`, { op: 'capacity' });
  }
  const [digits, exponent = '0'] = String(gamma).split('e');
  const [whole, fraction = ''] = digits.split('.');
  const power = Number(exponent) - fraction.length; // γ = (whole fraction) · 10^power
  const numerator = BigInt(whole + fraction) * 10n ** BigInt(Math.max(0, power)) * BigInt(T);
  const denominator = 10n ** BigInt(Math.max(0, -power)) * BigInt(N);
  return Number((numerator + denominator - 1n) / denominator);
}
