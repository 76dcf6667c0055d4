// The choice of one token from its logits, on the host: temperature, top-k, nucleus. Knows no model.
import { XMoEError } from '@xmoe/core';
import { stableArgsort } from '@xmoe/core/backend';

export interface TokenSampling {
  /** Divides the logits; 0 takes the likeliest token. */
  temperature: number;
  /** Only the k likeliest tokens; 0: all. */
  topK: number;
  /** Only the fewest likeliest tokens that reach this mass (Holtzman et al. 2020); 1: all. */
  topP: number;
}

/**
 * The token that the uniform number `u` in [0, 1) picks from softmax(logits / temperature) after top-k and nucleus. Vocabularies of
 * any size; logits are told apart as float32.
 * @throws XMoEError `numerics` when a logit is NaN or +∞, or all are −∞: there is no softmax to draw from
 */
export function sampleToken(logits: ArrayLike<number>, u: number, options: TokenSampling): number {
  const best = likeliest(logits);
  if (options.temperature === 0) return best;
  const peak = logits[best]!;
  const order = new Int32Array(logits.length);
  stableArgsort(Float32Array.from(logits, (logit) => -logit), order);
  const candidates = options.topK > 0 ? order.subarray(0, options.topK) : order;
  const weights = Float64Array.from(candidates, (id) => Math.exp((logits[id]! - peak) / options.temperature));
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

/** The lowest id of the largest logit. */
function likeliest(logits: ArrayLike<number>): number {
  let best = 0;
  for (let id = 0; id < logits.length; id++) {
    const logit = logits[id]!;
    if (Number.isNaN(logit) || logit === Infinity) throw noSoftmax(`the logit of token ${id} is ${logit}`);
    if (logit > logits[best]!) best = id;
  }
  if (logits.length === 0 || logits[best] === -Infinity) throw noSoftmax('no token has a logit above −∞');
  return best;
}

function noSoftmax(problem: string): XMoEError {
  return new XMoEError('numerics', problem, { op: 'sample', hint: 'the parameters diverged: use an earlier checkpoint' });
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
