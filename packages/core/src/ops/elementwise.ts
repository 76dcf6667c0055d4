// Element-wise ops with broadcasting, and their gradients.
import type { BinaryOp, CompareOp, UnaryOp } from '../contract.js';
import { isFloat, type DType } from '../dtype.js';
import type { Engine } from '../engine.js';
import { XMoEError } from '../errors.js';
import { broadcastShapes, collapseBroadcast, padRank } from '../shape.js';
import { Tensor } from '../tensor.js';
import { engineOf, requireAlive, requireDType, requireDTypeName, requireNumber, requireSameDType, requireSameEngine } from './check.js';
import { sumTo } from './sum-to.js';
import { reshape } from './movement.js';
import { view } from './view.js';

/** A tensor, or a number that takes the dtype of the other argument. */
export type TensorLike = Tensor | number;

type BinaryFunction = (a: TensorLike, b: TensorLike) => Tensor;
type UnaryFunction = (x: Tensor) => Tensor;

function pair(op: string, a: TensorLike, b: TensorLike): [Tensor, Tensor] {
  const [left, right] = withConstants(op, a, b);
  requireSameEngine(op, left, right);
  requireSameDType(op, left, right);
  return [left, right];
}

/** Numbers become shared scalars of the other argument's engine and dtype. */
function withConstants(op: string, a: TensorLike, b: TensorLike): [Tensor, Tensor] {
  if (a instanceof Tensor) return [a, b instanceof Tensor ? b : constantOf(op, a.engine, b, a.dtype)];
  if (b instanceof Tensor) return [constantOf(op, b.engine, a, b.dtype), b];
  throw new XMoEError('value', 'neither argument is a tensor', { op, hint: 'pass at least one tensor' });
}

function constantOf(op: string, engine: Engine, value: number, dtype: DType): Tensor {
  if (typeof value !== 'boolean') requireNumber(op, 'an argument', value);
  return engine.constant(Number(value), dtype);
}

function runBinary(kernel: 'binary' | 'compare', op: BinaryOp | CompareOp, a: Tensor, b: Tensor, dtype: DType): Tensor {
  const { engine } = a;
  const shape = broadcastShapes(a.shape, b.shape, op);
  const out = engine.empty(shape, dtype);
  const collapsed = collapseBroadcast(shape, padRank(a.shape, shape.length), padRank(b.shape, shape.length));
  const left = view(a, collapsed.inputs[0]!);
  const right = view(b, collapsed.inputs[1]!);
  if (kernel === 'binary') engine.kernels.binary({ a: left, b: right }, { out: view(out, collapsed.out) }, { op: op as BinaryOp });
  else engine.kernels.compare({ a: left, b: right }, { out: view(out, collapsed.out) }, { op: op as CompareOp });
  return out;
}

type Slot = 'a' | 'b' | 'out';

/** One input's gradient in the shape of the output, and what it reads: only that is kept for the backward pass. */
interface BinaryGradient {
  reads: readonly Slot[];
  run(dy: Tensor, at: Readonly<Record<Slot, Tensor>>): Tensor;
}

function binaryOp(op: BinaryOp, dtypes: readonly DType[], toA?: BinaryGradient, toB?: BinaryGradient) {
  const [readsA, readsB] = [toA?.reads ?? [], toB?.reads ?? []];
  const readsBoth = [...new Set([...readsA, ...readsB])];
  return (x: TensorLike, y: TensorLike): Tensor => {
    const [a, b] = pair(op, x, y);
    requireDType(op, 'an argument', a, ...dtypes);
    const out = runBinary('binary', op, a, b, a.dtype);
    const { tape } = a.engine;
    if (tape && toA && toB) {
      const tensors = { a, b, out };
      const slots = !tape.isTracked(b) ? readsA : !tape.isTracked(a) ? readsB : readsBoth;
      const [shapeA, shapeB] = [a.shape, b.shape];
      tape.record({
        op,
        inputs: [a, b],
        outputs: [out],
        saved: slots.map((slot) => tensors[slot]),
        backward: ([dy], saved, needs) => {
          const at = {} as Record<Slot, Tensor>;
          slots.forEach((slot, index) => (at[slot] = saved[index]!));
          return [needs[0] ? sumTo(toA.run(dy!, at), shapeA) : null, needs[1] ? sumTo(toB.run(dy!, at), shapeB) : null];
        },
      });
    }
    return out;
  };
}

const FLOAT: readonly DType[] = ['float32', 'float16'];
const INTEGER: readonly DType[] = ['int32', 'uint32'];
const NUMBER: readonly DType[] = [...FLOAT, ...INTEGER];
const pass: BinaryGradient = { reads: [], run: (dy) => dy };
/** dy where the comparison of a and b holds, else 0. */
const where = (compare: (a: Tensor, b: Tensor) => Tensor): BinaryGradient => ({
  reads: ['a', 'b'],
  run: (dy, { a, b }) => multiply(dy, cast(compare(a, b), dy.dtype)),
});

/** a + b. */
export const add: BinaryFunction = binaryOp('add', NUMBER, pass, pass);
/** a − b. */
export const subtract: BinaryFunction = binaryOp('subtract', NUMBER, pass, { reads: [], run: (dy) => negate(dy) });
/** a · b. */
export const multiply: BinaryFunction = binaryOp(
  'multiply',
  NUMBER,
  { reads: ['b'], run: (dy, { b }) => multiply(dy, b) },
  { reads: ['a'], run: (dy, { a }) => multiply(dy, a) },
);
/** a / b of floats. */
export const divide: BinaryFunction = binaryOp(
  'divide',
  FLOAT,
  { reads: ['b'], run: (dy, { b }) => divide(dy, b) },
  { reads: ['b', 'out'], run: (dy, { b, out }) => negate(divide(multiply(dy, out), b)) },
);
/** The larger of a and b; where they are equal the gradient goes to a. */
export const maximum: BinaryFunction = binaryOp('maximum', NUMBER, where((a, b) => greaterEqual(a, b)), where((a, b) => less(a, b)));
/** The smaller of a and b; where they are equal the gradient goes to a. */
export const minimum: BinaryFunction = binaryOp('minimum', NUMBER, where((a, b) => lessEqual(a, b)), where((a, b) => greater(a, b)));
/**
 * a to the power b of floats, for a > 0 (or integral b). At a = 0 the gradient of b is 0 for b ≥ 0; that of a is 0 for b = 0 (a⁰ is 1
 * everywhere).
 */
export const power: BinaryFunction = binaryOp(
  'power',
  FLOAT,
  { reads: ['a', 'b'], run: (dy, { a, b }) => select(equal(b, 0), 0, multiply(dy, multiply(b, power(a, subtract(b, 1))))) },
  {
    reads: ['a', 'b', 'out'],
    run: (dy, { a, b, out }) => select(logicalAnd(equal(a, 0), greaterEqual(b, 0)), 0, multiply(dy, multiply(out, log(a)))),
  },
);
/** ⌊a / b⌋ of integers, b > 0. No gradient. */
export const floorDivide: BinaryFunction = binaryOp('floorDivide', INTEGER);
/** a − b·⌊a / b⌋ of integers, b > 0. No gradient. */
export const remainder: BinaryFunction = binaryOp('remainder', INTEGER);
/** a and b of bools. */
export const logicalAnd: BinaryFunction = binaryOp('logicalAnd', ['bool']);
/** a or b of bools. */
export const logicalOr: BinaryFunction = binaryOp('logicalOr', ['bool']);

function compareOp(op: CompareOp) {
  return (x: TensorLike, y: TensorLike): Tensor => {
    const [a, b] = pair(op, x, y);
    return runBinary('compare', op, a, b, 'bool');
  };
}

export const equal = compareOp('equal');
export const notEqual = compareOp('notEqual');
export const less = compareOp('less');
export const lessEqual = compareOp('lessEqual');
export const greater = compareOp('greater');
export const greaterEqual = compareOp('greaterEqual');

/** dx from dy, the input x and the output y. */
type UnaryGradient = (dy: Tensor, x: Tensor, y: Tensor) => Tensor;

/** `reads`: what the gradient looks at, and so what is kept for the backward pass. */
function unaryOp(op: UnaryOp, dtypes: readonly DType[], reads: 'nothing' | 'input' | 'output' | 'both' = 'nothing', gradient?: UnaryGradient) {
  return (x: Tensor): Tensor => {
    requireDType(op, 'x', x, ...dtypes);
    const out = x.engine.empty(x.shape, x.dtype);
    x.engine.kernels.unary({ x }, { out }, { op });
    if (gradient) {
      const saved = reads === 'nothing' ? [] : reads === 'input' ? [x] : reads === 'output' ? [out] : [x, out];
      x.engine.tape?.record({
        op,
        inputs: [x],
        outputs: [out],
        saved,
        backward: ([dy], kept) => [gradient(dy!, kept[0]!, kept[kept.length - 1]!)],
      });
    }
    return out;
  };
}

const SIGNED: readonly DType[] = [...FLOAT, 'int32'];

export const negate: UnaryFunction = unaryOp('negate', SIGNED, 'nothing', (dy) => negate(dy));
export const abs: UnaryFunction = unaryOp('abs', SIGNED, 'input', (dy, x) => multiply(dy, sign(x)));
/** −1, 0 or 1. No gradient. */
export const sign: UnaryFunction = unaryOp('sign', SIGNED);
export const exp: UnaryFunction = unaryOp('exp', FLOAT, 'output', (dy, _x, y) => multiply(dy, y));
/** Natural logarithm. */
export const log: UnaryFunction = unaryOp('log', FLOAT, 'input', (dy, x) => divide(dy, x));
export const sqrt: UnaryFunction = unaryOp('sqrt', FLOAT, 'output', (dy, _x, y) => divide(multiply(dy, 0.5), y));
/** 1/√x. */
export const rsqrt: UnaryFunction = unaryOp('rsqrt', FLOAT, 'both', (dy, x, y) => multiply(divide(multiply(dy, -0.5), x), y));
export const square: UnaryFunction = unaryOp('square', FLOAT, 'input', (dy, x) => multiply(multiply(dy, 2), x));
export const reciprocal: UnaryFunction = unaryOp('reciprocal', FLOAT, 'output', (dy, _x, y) => negate(multiply(dy, square(y))));
export const tanh: UnaryFunction = unaryOp('tanh', FLOAT, 'output', (dy, _x, y) => multiply(dy, subtract(1, square(y))));
/** Error function. */
export const erf: UnaryFunction = unaryOp('erf', FLOAT, 'input', (dy, x) => multiply(dy, multiply(exp(negate(square(x))), 2 / Math.sqrt(Math.PI))));
export const sigmoid: UnaryFunction = unaryOp('sigmoid', FLOAT, 'output', (dy, _x, y) => multiply(dy, multiply(y, subtract(1, y))));
/** The gradient at 0 is 0. */
export const relu: UnaryFunction = unaryOp('relu', FLOAT, 'output', (dy, _x, y) => multiply(dy, cast(greater(y, 0), dy.dtype)));
export const sin: UnaryFunction = unaryOp('sin', FLOAT, 'input', (dy, x) => multiply(dy, cos(x)));
export const cos: UnaryFunction = unaryOp('cos', FLOAT, 'input', (dy, x) => negate(multiply(dy, sin(x))));
/** Largest integer ≤ x. No gradient. */
export const floor: UnaryFunction = unaryOp('floor', FLOAT);
/** Smallest integer ≥ x. No gradient. */
export const ceil: UnaryFunction = unaryOp('ceil', FLOAT);
/** not x of bools. */
export const logicalNot: UnaryFunction = unaryOp('logicalNot', ['bool']);

/** condition ? a : b, broadcasting. condition bool; a and b of one dtype. */
export function select(condition: Tensor, a: TensorLike, b: TensorLike): Tensor {
  const engine = engineOf('select', 'condition', condition);
  requireDType('select', 'condition', condition, 'bool');
  const dtype = a instanceof Tensor ? a.dtype : b instanceof Tensor ? b.dtype : 'float32';
  const yes = a instanceof Tensor ? a : constantOf('select', engine, a, dtype);
  const no = b instanceof Tensor ? b : constantOf('select', engine, b, dtype);
  requireSameEngine('select', condition, yes, no);
  requireSameDType('select', yes, no);
  const shape = broadcastShapes(condition.shape, broadcastShapes(yes.shape, no.shape, 'select'), 'select');
  const out = engine.empty(shape, dtype);
  const inputs = [condition, yes, no].map((tensor) => padRank(tensor.shape, shape.length));
  const collapsed = collapseBroadcast(shape, ...inputs);
  const [viewC, viewA, viewB] = [condition, yes, no].map((tensor, index) => view(tensor, collapsed.inputs[index]!));
  engine.kernels.select({ condition: viewC!, a: viewA!, b: viewB! }, { out: view(out, collapsed.out) });
  const [shapeA, shapeB] = [yes.shape, no.shape];
  engine.tape?.record({
    op: 'select',
    inputs: [yes, no],
    outputs: [out],
    saved: [condition],
    backward: ([dy], [mask], needs) => [
      needs[0] ? sumTo(select(mask!, dy!, 0), shapeA) : null,
      needs[1] ? sumTo(select(mask!, 0, dy!), shapeB) : null,
    ],
  });
  return out;
}

/** Converts the dtype. Differentiable between float32 and float16. The same dtype comes back as an alias. */
export function cast(x: Tensor, dtype: DType): Tensor {
  requireAlive('cast', 'x', x);
  requireDTypeName('cast', dtype);
  if (x.dtype === dtype) return reshape(x, x.shape);
  const out = x.engine.empty(x.shape, dtype);
  x.engine.kernels.cast({ x }, { out });
  const from = x.dtype;
  if (!isFloat(from) || !isFloat(dtype)) return out; // whole numbers carry no gradient
  x.engine.tape?.record({ op: 'cast', inputs: [x], outputs: [out], saved: [], backward: ([dy]) => [cast(dy!, from)] });
  return out;
}
