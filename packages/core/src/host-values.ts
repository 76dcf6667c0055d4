// Checks of what callers hand over from JavaScript for a tensor: its numbers, shape, dtype. The general checks are in checks.ts. No device
// here.
import { describeArgument } from './checks.js';
import { DTYPES, type DType } from './dtype.js';
import { XMoEError } from './errors.js';
import { formatShape, type Shape } from './shape.js';

/** @throws XMoEError `shape` unless it is a list of whole numbers from 0 on. */
export function requireShape(op: string, shape: Shape): void {
  if (!Array.isArray(shape)) {
    throw new XMoEError('shape', `the shape is ${describeArgument(shape)}, not a list of extents`, { op, hint: 'pass a list such as [2, 3]' });
  }
  for (const extent of shape as readonly unknown[]) {
    if (Number.isSafeInteger(extent) && (extent as number) >= 0) continue;
    throw new XMoEError('shape', `${formatShape(shape.map(describeArgument) as never)} is not a shape`, { op, hint: 'extents are whole numbers ≥ 0' });
  }
}

/** @throws XMoEError `dtype` for anything that is not the name of one. */
export function requireDTypeName(op: string, dtype: DType): void {
  if (DTYPES.includes(dtype)) return;
  throw new XMoEError('dtype', `dtype is ${describeArgument(dtype)}`, { op, hint: `one of ${DTYPES.join(', ')}` });
}

/** The typed array that holds numbers of a dtype as they are; its elements need no look. */
const OWN_ARRAY: Record<DType, readonly Function[]> = {
  float32: [Float32Array, Float64Array, Int32Array, Uint32Array, Uint8Array],
  float16: [Float32Array, Float64Array, Int32Array, Uint32Array, Uint8Array],
  int32: [Int32Array, Uint8Array],
  uint32: [Uint32Array, Uint8Array],
  bool: [],
};

const RANGE: Partial<Record<DType, readonly [low: number, high: number]>> = { int32: [-(2 ** 31), 2 ** 31 - 1], uint32: [0, 2 ** 32 - 1], bool: [0, 1] };

/**
 * @throws XMoEError `value` for data that is no list, and for the first element that the dtype cannot hold, by its place: what is no
 * number, a nested list, a fraction or a number beyond the range of whole dtypes, anything but true, false, 0 and 1 for bool
 */
export function requireElements(op: string, data: unknown, dtype: DType): void {
  const isList = Array.isArray(data) || (ArrayBuffer.isView(data) && !(data instanceof DataView));
  if (!isList) {
    throw new XMoEError('value', `the data are ${describeArgument(data)}, not a list of numbers`, { op, hint: 'pass an array or a typed array of numbers' });
  }
  if (OWN_ARRAY[dtype].some((kind) => data instanceof kind)) return;
  const range = RANGE[dtype];
  const list = data as ArrayLike<unknown>;
  for (let i = 0; i < list.length; i++) {
    const value = list[i];
    if (typeof value === 'boolean') continue;
    if (typeof value !== 'number') throw notANumber(op, value, i);
    if (range && !(Number.isInteger(value) && value >= range[0] && value <= range[1])) {
      const hint = dtype === 'bool' ? 'pass true, false, 1 or 0' : `${dtype} holds whole numbers from ${range[0]} to ${range[1]}: round first, or use float32`;
      throw new XMoEError('value', `element ${i} is ${value}, which is no ${dtype}`, { op, hint });
    }
  }
}

function notANumber(op: string, value: unknown, index: number): XMoEError {
  const nested = Array.isArray(value) || ArrayBuffer.isView(value);
  return new XMoEError('value', `element ${index} is ${nested ? 'a list' : describeArgument(value)}, not a number`, {
    op,
    hint: nested ? 'nested lists are not taken apart: pass rows.flat() and the shape, for example [rows.length, rows[0].length]' : 'pass numbers or booleans',
  });
}

/** The data for a backend, to which booleans are numbers. */
export function numbersOf(data: ArrayLike<number | boolean>, dtype: DType): ArrayLike<number> {
  return dtype === 'bool' && Array.isArray(data) ? data.map(Number) : (data as ArrayLike<number>);
}
