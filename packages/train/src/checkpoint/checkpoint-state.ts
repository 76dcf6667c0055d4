// The JSON half of a checkpoint: a version, the step and the caller's state, checked on the way in and out; and the check
// that no NaN is ever saved over good weights. Not the tensors' format.
import { XMoEError } from '@xmoe/core';
import { z } from 'zod';
import { assertJson, parseJson, type JsonObject, type JsonValue } from '@xmoe/files';
import { parseConfig } from '../config/parse-config.js';
import type { StoredTensor } from './tensor-format.js';

/** Raise it when the meaning of state.json changes, and convert older ones in {@link decodeState}. */
const STATE_VERSION = 1;

const stateSchema = z.object({
  version: z.literal(STATE_VERSION),
  step: z.int().nonnegative(),
  state: z.record(z.string(), z.custom<JsonValue>()),
});

/** The text of state.json. @throws XMoEError `checkpoint` naming the path of what JSON cannot hold */
export function encodeState(step: number, state: JsonObject): string {
  assertJson(state, { where: 'state', code: 'checkpoint' });
  return `${JSON.stringify({ version: STATE_VERSION, step, state }, null, 2)}\n`;
}

/** @throws XMoEError `checkpoint` for another version or anything malformed */
export function decodeState(text: string, where: string): { step: number; state: JsonObject } {
  const value = parseJson(text, { where, code: 'checkpoint' });
  const version = (value as { version?: unknown } | null)?.version;
  if (version !== STATE_VERSION) {
    throw new XMoEError('checkpoint', `${where} has version ${JSON.stringify(version)}; this program reads ${STATE_VERSION}`, {
      hint: 'use the version of xmoe that wrote it',
    });
  }
  try {
    const { step, state } = parseConfig(stateSchema, value, { where });
    return { step, state };
  } catch (cause) {
    throw new XMoEError('checkpoint', (cause as Error).message, { cause });
  }
}

/** @throws XMoEError `numerics` naming the first element of a float tensor that is NaN or an infinity */
export function checkFinite(group: string, { name, dtype, data }: StoredTensor): void {
  if (dtype !== 'float32' && dtype !== 'float64' && dtype !== 'float16' && dtype !== 'bfloat16') return;
  const index = firstNonFinite(data, data instanceof Uint16Array ? (dtype === 'bfloat16' ? 0x7f80 : 0x7c00) : 0);
  if (index < 0) return;
  throw new XMoEError('numerics', `${group} ${name} is not finite at element ${index}, so it is not saved`, {
    hint: 'resume from the last checkpoint with a lower learning rate, or allow it with allowNonFinite',
  });
}

/** @param exponent the bits of the exponent where half precision is given as bits, else 0 */
function firstNonFinite(data: ArrayLike<number>, exponent: number): number {
  for (let i = 0; i < data.length; i++) {
    // Half precision given as bits: an exponent of all ones is an infinity or NaN.
    if (exponent !== 0 ? (data[i]! & exponent) === exponent : !Number.isFinite(data[i])) return i;
  }
  return -1;
}
