// Every op and every way to make a tensor, with arguments that types would have refused: only XMoEErrors come out. What good arguments give
// is tested elsewhere.
import { afterAll, describe, expect, it } from 'vitest';
import fc from 'fast-check';
import * as core from '@xmoe/core';
import { createEngine, isXMoEError, type Engine, type Tensor } from '@xmoe/core';
import { createCpuBackend } from '@xmoe/backend-cpu';

/** Small buffers: a large size is an error at once, not minutes of zeros. */
const smallEngine = (): Engine => createEngine({ ...createCpuBackend(), capabilities: { float16: true, maxBufferBytes: 2 ** 16 } });
const engine = smallEngine();
const other = smallEngine();
afterAll(() => [engine, other].forEach((made) => made.dispose()));

const gone = engine.ones([2, 3]);
gone.dispose();
const float = (...shape: number[]): Tensor => engine.full(shape, 0.25);
const whole = (...shape: number[]): Tensor => engine.full(shape, 1, 'int32');
const flags = (...shape: number[]): Tensor => engine.full(shape, 1, 'bool');
const offsets = (): Tensor => engine.tensor(Int32Array.of(0, 1, 2));
const key = (): Tensor => engine.key([1, 2]);

/** What JavaScript may hand over in place of anything. */
const JUNK: readonly (() => unknown)[] = [
  () => undefined, () => null, () => NaN, () => -1, () => 0.5, () => 1e15, () => Infinity, () => 'a', () => '', () => true, () => ({}), () => [], () => [[1, 2], [3, 4]], () => ['a'],
  () => [undefined], () => [-1], () => [1e15], () => [0.5, 2], () => () => 1, () => new Date(0), () => new Map(), () => new Float32Array(3), () => new BigInt64Array(1),
  () => new DataView(new ArrayBuffer(8)), () => ({ shape: [2, 3], dtype: 'float32' }), () => gone, () => other.ones([2, 3]), () => float(), () => float(0), () => float(2, 3), () => float(1, 2, 3, 1),
  () => whole(2), () => whole(2, 3), () => flags(2, 3), () => key(), () => engine.full([2, 3], 1, 'float16'), () => engine, () => [float(2, 3), null], () => ({ dtype: 'float99', k: null, rows: 1, mask: 3 }),
];

/** Good arguments of every function, each of which is replaced in turn. */
const CALLS: Record<string, () => unknown[]> = {
  ...Object.fromEntries(['add', 'subtract', 'multiply', 'divide', 'maximum', 'minimum', 'power', 'equal', 'notEqual', 'less', 'lessEqual', 'greater', 'greaterEqual'].map((op) => [op, () => [float(2, 3), float(2, 3)]])),
  ...Object.fromEntries(['floorDivide', 'remainder'].map((op) => [op, () => [whole(2, 3), whole(2, 3)]])),
  ...Object.fromEntries(['logicalAnd', 'logicalOr'].map((op) => [op, () => [flags(2, 3), flags(2, 3)]])),
  ...Object.fromEntries(['negate', 'abs', 'sign', 'exp', 'log', 'sqrt', 'rsqrt', 'square', 'reciprocal', 'tanh', 'erf', 'sigmoid', 'relu', 'sin', 'cos', 'floor', 'ceil', 'logSoftmax', 'logSumExp'].map((op) => [op, () => [float(2, 3)]])),
  ...Object.fromEntries(['sum', 'mean', 'max', 'min'].map((op) => [op, () => [float(2, 3), 0, { keepAxes: true }]])),
  ...Object.fromEntries(['argMax', 'argMin'].map((op) => [op, () => [float(2, 3), 0]])),
  logicalNot: () => [flags(2, 3)],
  select: () => [flags(2, 3), float(2, 3), 0],
  cast: () => [float(2, 3), 'int32'],
  cumsum: () => [float(2, 3), { exclusive: true }],
  softmax: () => [float(2, 3), { dtype: 'float32' }],
  layerNorm: () => [float(2, 3), float(3), float(3), { epsilon: 1e-5 }],
  biasActivation: () => [float(2, 3), float(2, 3), 'relu', offsets()],
  gelu: () => [float(2, 3), 'erf'],
  dropout: () => [float(2, 3), key(), { rate: 0.5, stream: 1 }],
  attention: () => [float(2, 3, 4), float(2, 3, 4), float(2, 3, 4), { heads: 2, causal: true, keyMask: flags(1, 3), scale: 1, dropout: { key: key(), rate: 0.1, stream: 1 } }],
  crossEntropy: () => [float(2, 3), whole(2), { labelSmoothing: 0.1, reduction: 'none' }],
  linearCrossEntropy: () => [float(2, 3), float(5, 3), whole(2), { labelSmoothing: 0.1, chunk: 2 }],
  dispatchClaims: () => [whole(2, 3), float(2, 3), { dispatch: 'padded', experts: 2, rows: 4, rankOnly: true }],
  groupedLinear: () => [float(2, 3), float(2, 3, 4), offsets(), { rows: whole(2), bias: float(2, 4), transposeW: false, activation: 'relu' }],
  gatherRows: () => [float(2, 3), whole(2)],
  scatterAddRows: () => [float(2, 3), whole(2), 4],
  addRows: () => [float(4, 3), float(2, 3), whole(2)],
  takeAlongLast: () => [float(2, 3), whole(2, 2)],
  addAlongLast: () => [float(2, 3), whole(2, 3), 4],
  matmul: () => [float(2, 3), float(3, 2), { transposeA: false, transposeB: false, dtype: 'float32' }],
  matmulWeight: () => [float(2, 3), float(3, 2), { transposeB: false, dtype: 'float32' }],
  groupedMatmul: () => [float(2, 3), float(2, 3, 4), offsets(), { transposeW: false }],
  reshape: () => [float(2, 3), [3, -1]],
  transpose: () => [float(2, 3), [1, 0]],
  slice: () => [float(2, 3), [0, 1], [1, 2]],
  pad: () => [float(2, 3), [0, 1], [4, 4]],
  broadcastTo: () => [float(2, 3), [4, 2, 3]],
  concat: () => [[float(2, 3), float(2, 3)], 0],
  split: () => [float(2, 3), [1, 2], 1],
  adamStep: () => [[float(2)], [float(2)], [float(2)], [float(2)], float(10), { decay: true }],
  sumSquares: () => [[float(2), float(3)]],
  randomUniform: () => [key(), [2, 3], 1],
  randomNormal: () => [key(), [2, 3], 1],
  randomGumbel: () => [key(), [2, 3], 1],
  assign: () => [float(2), float(2)],
  thresholdSelect: () => [float(2, 3), 0.5, { choices: 2, mask: flags(2) }],
  combineExperts: () => [float(4, 3), float(2, 2), whole(2, 2), whole(4)],
  topK: () => [float(2, 3), 2],
  sortByKey: () => [float(3)],
  bincount: () => [whole(2, 3), 4],
  randomKey: () => [1],
  foldIn: () => [[1, 2], 3],
  valueAndGrad: () => [engine, (x: Tensor) => core.sum(x), float(2, 3), { seed: float() }],
  grad: () => [engine, (x: Tensor) => core.sum(x), float(2, 3)],
  vjp: () => [engine, (x: Tensor) => core.sum(x), [float(2, 3)]],
  checkpoint: () => [engine, (x: Tensor) => core.sum(x), [float(2, 3)]],
};

const METHODS: Record<string, () => unknown[]> = {
  tensor: () => [[1, 0], [2], 'int32'],
  scalar: () => [1, 'float32'],
  full: () => [[2, 3], 1, 'int32'],
  zeros: () => [[2, 3], 'int32'],
  ones: () => [[2, 3], 'int32'],
  empty: () => [[2, 3], 'int32'],
  iota: () => [4, { start: 0, step: 1, dtype: 'int32' }],
  key: () => [[1, 2]],
  alias: () => [float(2, 3), [6]],
};

/** The names within an argument that is an object of options. */
function optionNames(argument: unknown): string[] {
  const isOptions = typeof argument === 'object' && argument !== null && Object.getPrototypeOf(argument) === Object.prototype;
  return isOptions ? Object.keys(argument) : [];
}

/** The call with one argument, or one entry of an option object, replaced. */
function broken(args: readonly unknown[], position: number, field: number, junk: () => unknown): unknown[] {
  const at = position % args.length;
  const own = args[at];
  const keys = optionNames(own);
  const name = keys[field % (keys.length + 1)];
  return args.map((arg, index) => (index !== at ? arg : name === undefined ? junk() : { ...(own as object), [name]: junk() }));
}

function expectOnlyOwnErrors(name: string, call: () => unknown, args: readonly unknown[]): void {
  try {
    call();
  } catch (error) {
    const said = `${name}(${args.map((arg) => (typeof arg === 'object' ? JSON.stringify(arg, (key, value: unknown) => (key === 'engine' || typeof value === 'bigint' ? String(value) : value))?.slice(0, 60) : String(arg))).join(', ')})`;
    expect(isXMoEError(error), `${said}: ${(error as Error).stack}`).toBe(true);
  }
}

describe('arguments that types would refuse', () => {
  it('has a call of every op', () => {
    const notOps = /^(create|is|describe|refuse|unknown|require|count|infer|bytes|host|fill|encode|decode|format|normalize|broadcastShapes|collapse|pad$|padRank|axis|same|size|strides|nearest|hash|threefry|streamCounter|stable|byTime|watch|initial|parameter|collect|custom|mapTree|toWhole|mass|Engine|Tensor|XMoEError|foldIn|randomKey|ratio$|without|states|addSums|wholeOf)/;
    const ops = Object.entries(core).filter(([name, value]) => typeof value === 'function' && !notOps.test(name)).map(([name]) => name);
    expect(ops.filter((name) => !(name in CALLS))).toEqual([]);
  });

  it.each(Object.keys(CALLS))('%s', (name) => {
    const op = (core as unknown as Record<string, (...args: unknown[]) => unknown>)[name];
    const run = (args: unknown[]): void => engine.scope(() => expectOnlyOwnErrors(name, () => op(...args), args));
    engine.scope(() => op(...CALLS[name]())); // the call is good
    for (let position = 0; position < CALLS[name]().length; position++) {
      const fields = optionNames(CALLS[name]()[position]).length + 1;
      for (const junk of JUNK) for (let field = 0; field < fields; field++) run(broken(CALLS[name](), position, field, junk));
    }
    run([]);
  });

  it.each(Object.keys(METHODS))('engine.%s', (name) => {
    const method = (engine as unknown as Record<string, (...args: unknown[]) => unknown>)[name].bind(engine);
    engine.scope(() => method(...METHODS[name]()));
    const junk = fc.oneof(fc.constantFrom(...JUNK), fc.anything({ withBigInt: false }).map((value) => () => value));
    fc.assert(
      fc.property(fc.nat(5), fc.nat(5), junk, (position, field, make) => {
        const args = broken(METHODS[name](), position, field, make);
        engine.scope(() => expectOnlyOwnErrors(name, () => method(...args), args));
      }),
      { numRuns: 300, seed: Number(process.env.XMOE_FUZZ_SEED ?? 1) },
    );
  });
});

describe('what a tensor is made from', () => {
  it.each([
    ['nested lists', [[1, 2], [3, 4]], undefined, undefined, /element 0 is a list/],
    ['strings', ['a'], undefined, undefined, /element 0 is "a", not a number/],
    ['a string', 'abc', undefined, undefined, /data is neither a typed array/],
    ['nothing', undefined, undefined, undefined, /data is neither a typed array/],
    ['holes', [1, undefined, 3], undefined, undefined, /element 1 is missing/],
    ['2 as bool', Uint8Array.of(1, 2), undefined, undefined, /element 1 is 2, which is no bool/],
    ['NaN as bool', [NaN], [1], 'bool', /element 0 is NaN, which is no bool/],
    ['a fraction as int32', [1.5], [1], 'int32', /element 0 is 1.5, which is no int32/],
    ['3e9 as int32', [3e9], [1], 'int32', /element 0 is 3000000000/],
    ['−1 as uint32', Int32Array.of(-1), [1], 'uint32', /element 0 is -1, which is no uint32/],
    ['a fractional extent', [1, 2], [0.5, 4], undefined, /is not a shape/],
    ['a negative extent', [1, 2], [-1, -2], undefined, /is not a shape/],
    ['an unknown dtype', [1], [1], 'float64', /dtype is "float64"/],
  ])('refuses %s', (_, data, shape, dtype, message) => {
    expect(() => engine.tensor(data as never, shape as never, dtype as never)).toThrow(message);
  });

  it('takes typed arrays, numbers and booleans, mixed ones too, also when written', async () => {
    const mask = engine.tensor([true, 0, 1, false] as never, [4], 'bool');
    expect([...(await mask.data())]).toEqual([1, 0, 1, 0]);
    mask.write([0, true, false, 1] as never);
    expect([...(await mask.data())]).toEqual([0, 1, 0, 1]);
    expect(() => mask.write([0, 1, 2, 0])).toThrow(/element 2 is 2/);
    expect([...(await engine.tensor(Int16Array.of(3, -4) as never, [2], 'int32').data())]).toEqual([3, -4]);
  });
});
