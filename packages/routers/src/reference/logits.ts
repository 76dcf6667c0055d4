// Reads what callers pass as logits and masks into flat arrays. No softmax and no routing here.
import { XMoEError, describeArgument, requireInteger } from '@xmoe/core';

/** float32 rounds logits and probabilities as a backend does; float64 keeps them whole, for gradient checks. */
export type Precision = 'float32' | 'float64';

/** Router logits [T, N]: rows of numbers, or one flat row-major array with its shape. */
export type Logits = readonly ArrayLike<number>[] | FlatLogits;

/** Logits [T, N] as one row-major array: `tokens` = T, `experts` = N. */
export interface FlatLogits {
  readonly values: ArrayLike<number>;
  readonly tokens: number;
  readonly experts: number;
}

/** Which tokens take part: true or 1 for a real token, false or 0 for padding. Length T. */
export type Mask = ArrayLike<boolean | number>;

/** Logits [T, N] in one row-major array. */
export interface LogitMatrix {
  readonly tokens: number;
  readonly experts: number;
  readonly values: Float64Array;
}

/**
 * Logits as one flat array, rounded to `precision`.
 * @throws XMoEError `value` for an entry that is not a finite number (in float32, when asked), naming row and column;
 * `shape` for ragged rows, no row, or a flat array of the wrong length.
 */
export function readLogits(logits: Logits, precision: Precision = 'float32'): LogitMatrix {
  const { tokens, experts, entry } = isFlat(logits) ? flatShape(logits) : rowShape(logits);
  const values = new Float64Array(tokens * experts); // [T, N]
  for (let token = 0; token < tokens; token++) {
    for (let expert = 0; expert < experts; expert++) {
      const raw = entry(token, expert);
      const value = typeof raw !== 'number' || precision === 'float64' ? raw : Math.fround(raw);
      if (typeof value !== 'number' || !Number.isFinite(value)) {
        const problem = typeof raw === 'number' && Number.isFinite(raw) ? 'too large for float32' : 'not a finite number';
        throw new XMoEError('value', `logits[${token}][${expert}] is ${describeArgument(raw)}, ${problem}`, { op: 'route' });
      }
      values[token * experts + expert] = value;
    }
  }
  return { tokens, experts, values };
}

interface Shaped {
  tokens: number;
  experts: number;
  entry: (token: number, expert: number) => unknown;
}

function isFlat(logits: Logits): logits is FlatLogits {
  return typeof logits === 'object' && logits !== null && !Array.isArray(logits) && 'tokens' in logits;
}

function flatShape(logits: FlatLogits): Shaped {
  const tokens = requireInteger('route', 'logits.tokens', logits.tokens, 0);
  const experts = requireInteger('route', 'logits.experts', logits.experts, 1);
  if (logits.values?.length !== tokens * experts) {
    const message = `logits.values has length ${logits.values?.length}, not ${tokens}·${experts}`;
    throw new XMoEError('shape', message, { op: 'route' });
  }
  return { tokens, experts, entry: (token, expert) => logits.values[token * experts + expert] };
}

function rowShape(logits: readonly ArrayLike<number>[]): Shaped {
  const isRow = (row: unknown): row is ArrayLike<number> => Array.isArray(row) || (ArrayBuffer.isView(row) && !(row instanceof DataView));
  if (!Array.isArray(logits) || logits.length === 0) {
    const problem = Array.isArray(logits) ? 'has no row' : `is ${describeArgument(logits)}, not an array of rows`;
    throw new XMoEError('shape', `logits ${problem}`, { op: 'route', hint: 'pass one row of N numbers per token' });
  }
  const experts = isRow(logits[0]) ? logits[0].length : 0;
  for (let token = 0; token < logits.length; token++) {
    const row: unknown = logits[token];
    if (!isRow(row) || row.length === 0) {
      const found = isRow(row) ? 'empty' : describeArgument(row);
      throw new XMoEError('shape', `logits[${token}] is ${found}, not a row of numbers`, { op: 'route' });
    }
    if (row.length !== experts) {
      const message = `rows are ragged: logits[0] has ${experts} entries, logits[${token}] has ${row.length}`;
      throw new XMoEError('shape', message, { op: 'route', hint: 'give every token one logit per expert' });
    }
  }
  return { tokens: logits.length, experts, entry: (token, expert) => logits[token][expert] };
}

/** The mask as bytes [T]: 1 = real token, 0 = padding; all ones without a mask. @throws XMoEError on length or entries. */
export function readMask(mask: Mask | undefined, tokens: number): Uint8Array {
  if (mask === undefined) return new Uint8Array(tokens).fill(1);
  if (typeof mask !== 'object' || mask === null || mask.length !== tokens) {
    const found = typeof mask === 'object' && mask !== null ? `${mask.length} entries` : describeArgument(mask);
    throw new XMoEError('shape', `mask must hold one entry per token: ${found} for ${tokens} tokens`, { op: 'route' });
  }
  return Uint8Array.from({ length: tokens }, (_, token) => {
    const entry: unknown = mask[token];
    if (entry === true || entry === 1) return 1;
    if (entry === false || entry === 0) return 0;
    throw new XMoEError('value', `mask[${token}] is ${describeArgument(entry)}, not true or false`, { op: 'route' });
  });
}
