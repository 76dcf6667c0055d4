// The common mistakes: each gives one line that names the op and the thing, and a hint that says what to do.
import { createCpuBackend } from '@xmoe/backend-cpu';
import * as core from '@xmoe/core';
import { createEngine, isXMoEError, nearestName, XMoEError, type ErrorCode, type Tensor } from '@xmoe/core';
import { describe, expect, it } from 'vitest';

const engine = createEngine({ ...createCpuBackend(), capabilities: { float16: true, maxBufferBytes: 2 ** 20 } });
const float = (...shape: number[]): Tensor => engine.zeros(shape);
const int = (...shape: number[]): Tensor => engine.zeros(shape, 'int32');
const bool = (...shape: number[]): Tensor => engine.zeros(shape, 'bool');
const half = (...shape: number[]): Tensor => engine.zeros(shape, 'float16');
const key = engine.key([0, 0]);

const MISTAKES: readonly (readonly [message: string, hint: string, code: ErrorCode, mistake: () => unknown])[] = [
  ['matmul: inner dimensions differ: lhs [32, 64], rhs [63, 128]', 'pass transposeB if rhs is [N, K]', 'shape', () => core.matmul(float(32, 64), float(63, 128))],
  ['matmul: inner dimensions differ: lhs [2, 3], rhs [3, 4]', 'with transposeB rhs is [N, K]', 'shape', () => core.matmul(float(2, 3), float(3, 4), { transposeB: true })],
  ['matmul: both sides need two axes or more: lhs [3], rhs [3, 4]', 'reshape vectors', 'shape', () => core.matmul(float(3), float(3, 4))],
  ['matmul: leading dimensions differ: lhs [2, 3, 4], rhs [5, 4, 1]', 'rhs has the batch axes of lhs', 'shape', () => core.matmul(float(2, 3, 4), float(5, 4, 1))],
  ['matmul: dtypes differ: float32 and float16', 'no implicit promotion', 'dtype', () => core.matmul(float(1, 1), half(1, 1))],
  ['matmul: lhs must be float32 or float16, got int32', 'cast', 'dtype', () => core.matmul(int(1, 1), int(1, 1))],
  ['groupedMatmul: the length of offsets is 2, expected 4', 'check the shapes', 'shape', () => core.groupedMatmul(float(2, 2), float(3, 2, 2), int(2))],
  ['groupedMatmul: the inner dimension of w is 5, expected 2', 'check the shapes', 'shape', () => core.groupedMatmul(float(2, 2), float(1, 5, 2), int(2))],
  ['add: shapes do not broadcast: [2, 3] and [2]', 'counted from the end', 'shape', () => core.add(float(2, 3), float(2))],
  ['add: dtypes differ: float32 and int32', 'cast one of them', 'dtype', () => core.add(float(1), int(1))],
  ['add: an argument must be float32 or float16 or int32 or uint32, got bool', 'cast it first', 'dtype', () => core.add(bool(1), bool(1))],
  ['divide: an argument must be float32 or float16, got int32', 'cast it first', 'dtype', () => core.divide(int(1), 2)],
  ['multiply: neither argument is a tensor', 'at least one tensor', 'value', () => core.multiply(2, 3)],
  ['exp: x must be float32 or float16, got int32', 'cast it first', 'dtype', () => core.exp(int(1))],
  ['select: condition must be bool, got float32', 'cast it first', 'dtype', () => core.select(float(1), float(1), 0)],
  ['sum: axis 2 is outside a tensor of rank 2', 'pass an axis from -2 to 1', 'shape', () => core.sum(float(2, 3), 2)],
  ['mean: x must be float32 or float16, got int32', 'cast it first', 'dtype', () => core.mean(int(3))],
  ['argMax: axis 0 of [0] is empty', 'no extreme', 'shape', () => core.argMax(float(0))],
  ['reshape: cannot see [2, 3] as [4]', '6 elements', 'shape', () => core.reshape(float(2, 3), [4])],
  ['reshape: cannot see [2, 3] as [-1, -1]', '6 elements', 'shape', () => core.reshape(float(2, 3), [-1, -1])],
  ['reshape: cannot see [2, 3] as [-2, -3]', '6 elements', 'shape', () => core.reshape(float(2, 3), [-2, -3])],
  ['transpose: [0, 0] is not a permutation of the axes of [2, 3]', 'name each axis', 'shape', () => core.transpose(float(2, 3), [0, 0])],
  ['slice: begin [1, 0] with size [2, 3] leaves [2, 3]', 'inside the tensor', 'shape', () => core.slice(float(2, 3), [1, 0], [2, 3])],
  ['slice: begin [0.5] with size [1] leaves [2]', 'inside the tensor', 'shape', () => core.slice(float(2), [0.5], [1])],
  ['pad: [2] at [1] leaves [2]', 'a shape that holds x', 'shape', () => core.pad(float(2), [1], [2])],
  ['broadcastTo: [2, 3] does not broadcast to [3]', 'only axes of size 1', 'shape', () => core.broadcastTo(float(2, 3), [3])],
  ['concat: [2, 2] does not join [2, 3] along axis 0', 'all other axes must agree', 'shape', () => core.concat([float(2, 3), float(2, 2)], 0)],
  ['concat: there is nothing to join', 'at least one', 'value', () => core.concat([], 0)],
  ['split: sizes [1, 1] do not add up to axis 0 of [3]', 'one size per part', 'shape', () => core.split(float(3), [1, 1])],
  ['gatherRows: indices must be int32, got float32', 'cast it first', 'dtype', () => core.gatherRows(float(2, 2), float(1))],
  ['gatherRows: x is a scalar: it has no rows', 'one axis or more', 'shape', () => core.gatherRows(float(), int(1))],
  ['scatterAddRows: the number of indices is 3, expected 2', 'check the shapes', 'shape', () => core.scatterAddRows(float(2, 2), int(3), 4)],
  ['addRows: the width of x is 2, expected 3', 'check the shapes', 'shape', () => core.addRows(float(4, 3), float(2, 2), int(2))],
  ['addRows: the number of indices is 3, expected 2', 'check the shapes', 'shape', () => core.addRows(float(4, 2), float(2, 2), int(3))],
  ['takeAlongLast: the number of rows of indices is 1, expected 2', 'check the shapes', 'shape', () => core.takeAlongLast(float(2, 2), int(1, 2))],
  ['topK: k is 4, the rows have 3 elements', 'pass k from 0 to 3', 'value', () => core.topK(float(2, 3), 4)],
  ['sortByKey: keys must have 1 axes, got [2, 2]', 'reshape', 'shape', () => core.sortByKey(float(2, 2))],
  ['thresholdSelect: the threshold is NaN', 'pass a number', 'value', () => core.thresholdSelect(float(2, 2), NaN)],
  ['thresholdSelect: the size of the threshold is 2', 'check the shapes', 'shape', () => core.thresholdSelect(float(2, 2), float(2))],
  ['assign: the size of value is 3, expected 2', 'check the shapes', 'shape', () => core.assign(float(2), float(3))],
  ['thresholdSelect: choices is 3, there are 2 experts', 'from 0 to 2', 'value', () => core.thresholdSelect(float(2, 2), 0.5, { choices: 3 })],
  ['thresholdSelect: the size of mask is 3, expected 2', 'check the shapes', 'shape', () => core.thresholdSelect(float(2, 2), 0.5, { mask: bool(3) })],
  ['dispatchClaims: the number of columns of scores is 3, expected 2', 'check the shapes', 'shape', () => core.dispatchClaims(int(4, 2), float(4, 3), { dispatch: 'grouped', experts: 2, rows: 8 })],
  ['dispatchClaims: 7 rows are not equally many for each of 2 experts', 'experts · capacity', 'value', () => core.dispatchClaims(int(4, 2), float(4, 2), { dispatch: 'padded', experts: 2, rows: 7 })],
  ['groupedLinear: the inner dimension of w is 5, expected 2', 'check the shapes', 'shape', () => core.groupedLinear(float(2, 2), float(1, 5, 2), int(2))],
  ['groupedLinear: rows must be int32, got float32', 'cast it first', 'dtype', () => core.groupedLinear(float(2, 2), float(1, 2, 3), int(2), { rows: float(4) })],
  ['groupedLinear: the number of bias rows is 2, expected 1', 'check the shapes', 'shape', () => core.groupedLinear(float(2, 2), float(1, 2, 3), int(2), { bias: float(2, 3) })],
  ['groupedLinear: dtypes differ: float32 and float16', 'no implicit promotion', 'dtype', () => core.groupedLinear(float(2, 2), half(1, 2, 3), int(2))],
  ['logSoftmax: x is a scalar: it has no last axis', 'one axis or more', 'shape', () => core.logSoftmax(float())],
  ['layerNorm: the size of gamma is 2, expected 3', 'check the shapes', 'shape', () => core.layerNorm(float(2, 3), float(2), float(3))],
  ['biasActivation: the last extent of bias is 2, expected 3', 'check the shapes', 'shape', () => core.biasActivation(float(2, 3), float(2), 'relu')],
  ['biasActivation: the number of bias rows is 1, expected 2', 'check the shapes', 'shape', () => core.biasActivation(float(2, 3), float(3), 'relu', int(3))],
  ['dropout: rate is 1', 'below 1', 'value', () => core.dropout(float(1), key, { rate: 1, stream: 0 })],
  ['dropout: the size of key is 3, expected 2', 'check the shapes', 'shape', () => core.dropout(float(1), engine.zeros([3], 'uint32'), { rate: 0.1, stream: 0 })],
  ['attention: q [2, 3, 4], k [2, 3, 5], v [2, 3, 5] do not fit', 'k and v are', 'shape', () => core.attention(float(2, 3, 4), float(2, 3, 5), float(2, 3, 5), { heads: 1 })],
  ['attention: 3 heads do not divide a leading dimension of 4', 'batch · heads', 'value', () => core.attention(float(4, 1, 1), float(4, 1, 1), float(4, 1, 1), { heads: 3 })],
  ['attention: the batch of keyMask is 4, expected 2', 'check the shapes', 'shape', () => core.attention(float(4, 1, 1), float(4, 1, 1), float(4, 1, 1), { heads: 2, keyMask: bool(4, 1) })],
  ['crossEntropy: the number of targets is 3, expected 2', 'check the shapes', 'shape', () => core.crossEntropy(float(2, 5), int(3))],
  ['crossEntropy: labelSmoothing is 1.5', 'from 0 to 1', 'value', () => core.crossEntropy(float(2, 5), int(2), { labelSmoothing: 1.5 })],
  ['linearCrossEntropy: the width of w is 4, expected 3', 'check the shapes', 'shape', () => core.linearCrossEntropy(float(2, 3), float(5, 4), int(2))],
  ['linearCrossEntropy: chunk is 0', '1 or more', 'value', () => core.linearCrossEntropy(float(2, 3), float(5, 3), int(2), { chunk: 0 })],
  ['combineExperts: the size of rowClaim is 2, expected 3', 'check the shapes', 'shape', () => core.combineExperts(float(3, 2), float(1, 1), int(1, 1), int(2))],
  ['adamStep: the size of v[1] is 2, expected 3', 'check the shapes', 'shape', () => core.adamStep([float(4), float(3)], [float(4), float(3)], [float(4), float(3)], [float(4), float(2)], float(8), { decay: true })],
  ['adamStep: the length of gradients is 0, expected 1', 'check the shapes', 'shape', () => core.adamStep([float(3)], [], [float(3)], [float(3)], float(8), { decay: true })],
  ['sumSquares: there is nothing to sum', 'at least one', 'value', () => core.sumSquares([])],
  ['tensor: 3 values do not fill shape [2]', 'pass 2 values', 'shape', () => engine.tensor([1, 2, 3], [2])],
  ['tensor: data is neither a typed array nor a list', 'Float32Array', 'dtype', () => engine.tensor('abc' as unknown as number[])],
  ['write: 1 values do not fill shape [2]', 'pass 2 values', 'shape', () => float(2).write([1])],
  ['[2, -1] is not a shape', 'whole numbers', 'shape', () => float(2, -1)],
  ['[-2, -1] is not a shape', 'whole numbers', 'shape', () => float(-2, -1)],
  ['[0.5, 4] is not a shape', 'whole numbers', 'shape', () => float(0.5, 4)],
  ['float32 [1000, 1000] needs 4000000 bytes, more than one buffer of cpu holds (1048576)', 'a smaller batch', 'memory', () => float(1000, 1000)],
];

describe('mistakes', () => {
  it.each(MISTAKES)('%s', (message, hint, code, mistake) => {
    let error: unknown;
    try {
      mistake();
    } catch (raised) {
      error = raised;
    }
    if (!isXMoEError(error)) throw new Error(`expected an XMoEError, got ${String(error)}`);
    expect(error.message).toContain(message);
    expect(error.message).not.toContain('\n');
    expect(error.hint).toContain(hint);
    expect(error.code).toBe(code);
    expect(error.message.startsWith('[') || error.message.startsWith('float32') || error.message.startsWith(`${error.op}: `)).toBe(true);
  });

  it('of an awaited read', async () => {
    await expect(float(2).item()).rejects.toThrow('item: expected one element, got shape [2]');
  });
});

describe('ops on disposed tensors', () => {
  const gone = (...shape: number[]): Tensor => {
    const tensor = float(...shape);
    tensor.dispose();
    return tensor;
  };
  it.each<[string, () => unknown]>([
    ['exp', () => core.exp(gone(1))],
    ['add', () => core.add(float(1), gone(1))],
    ['matmul', () => core.matmul(float(1, 1), gone(1, 1))],
    ['sum', () => core.sum(gone(1))],
    ['reshape', () => core.reshape(gone(1), [1])],
    ['transpose', () => core.transpose(gone(1, 1))],
    ['slice', () => core.slice(gone(1), [0], [1])],
    ['pad', () => core.pad(gone(1), [0], [2])],
    ['split', () => core.split(gone(1), [1])],
    ['concat', () => core.concat([float(1), gone(1)], 0)],
    ['broadcastTo', () => core.broadcastTo(gone(1), [2])],
    ['gatherRows', () => core.gatherRows(gone(1, 1), int(1))],
    ['softmax', () => core.softmax(gone(1))],
    ['cast', () => core.cast(gone(1), 'float16')],
  ])('%s names itself and allocates nothing', (op, use) => {
    const before = engine.scope(() => engine.memory().buffers);
    expect(() => engine.scope(use)).toThrow(new RegExp(`^${op}: .*was used after it was disposed`));
    expect(engine.memory().buffers).toBe(before);
  });
});

describe('XMoEError', () => {
  it('is recognised across copies of the package, and keeps the cause', () => {
    const cause = new Error('disk');
    const error = new XMoEError('data', 'no such file', { op: 'read', hint: 'look', cause });
    expect(error.message).toBe('read: no such file');
    expect(error.cause).toBe(cause);
    const foreign = Object.assign(new Error('x'), { isXMoEError: true });
    expect([isXMoEError(error), isXMoEError(foreign), isXMoEError(cause), isXMoEError('text')]).toEqual([true, true, false, false]);
  });

  it('suggests near names only', () => {
    expect(nearestName('treshold', ['threshold', 'topk', 'switch'])).toBe('threshold');
    expect(nearestName('TOPK', ['threshold', 'topk'])).toBe('topk');
    expect(nearestName('zzz', ['threshold', 'topk'])).toBeUndefined();
  });
});

describe('what a message quotes', () => {
  it('cannot move a terminal or end the line', () => {
    const error = new XMoEError('data', 'a.json has no column "x\u001b[2J\r\n\u2028"', { op: 'read', hint: 'did you mean "\u0007"?' });
    expect(error.message).toBe('read: a.json has no column "x\\u001b[2J\\u000d\\u000a\\u2028"');
    expect(error.hint).toBe('did you mean "\\u0007"?');
    expect(new XMoEError('backend', 'does not compile\nline 2\u009b').message).toBe('does not compile\nline 2\\u009b');
  });

  it('is compared with known names only where it could be one', () => {
    expect(nearestName('x'.repeat(1_000_000), ['y'.repeat(1000)])).toBeUndefined();
  });
});
