// The choice of one token from its logits, on the host: temperature, top-k, nucleus. Knows no model.
import { XMoEError } from '@xmoe/core';

export interface TokenSampling {
  /** Divides the logits; 0 takes the likeliest token. */
  temperature: number;
  /** Only the k likeliest tokens; 0: all. */
  topK: number;
  /** Only the fewest likeliest tokens that reach this mass (Holtzman et al. 2020); 1: all. */
  topP: number;
}

/** The token that the uniform number `u` in [0, 1) picks from softmax(logits / temperature) after top-k and nucleus. */
export function sampleToken(logits: ArrayLike<number>, u: number, options: TokenSampling): number {
  const order = Array.from({ length: logits.length }, (_, id) => id).sort((a, b) => logits[b]! - logits[a]! || a - b);
  if (options.temperature === 0) return order[0]!;
  const peak = logits[order[0]!]!;
  const candidates = options.topK > 0 ? order.slice(0, options.topK) : order;
  const weights = candidates.map((id) => Math.exp((logits[id]! - peak) / options.temperature));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  let count = 0;
  let mass = 0;
  while (count < weights.length && (count === 0 || mass < options.topP * total)) mass += weights[count++]!;
  let rest = u * mass;
  for (let index = 0; index < count; index++) {
    rest -= weights[index]!;
    if (rest < 0) return candidates[index]!;
  }
  return candidates[count - 1]!;
}

/** @throws XMoEError `value` naming the option that makes no sense */
export function checkSampling({ temperature, topK, topP }: TokenSampling): void {
  const fail = (problem: string, hint: string): never => {
    throw new XMoEError('value', problem, { op: 'sample', hint });
  };
  if (!(temperature >= 0)) fail(`the temperature is ${temperature}`, 'pass a number from 0');
  if (!Number.isInteger(topK) || topK < 0) fail(`top-k is ${topK}`, 'pass a whole number; 0 keeps all tokens');
  if (!(topP > 0 && topP <= 1)) fail(`top-p is ${topP}`, 'pass a number above 0 up to 1');
}
