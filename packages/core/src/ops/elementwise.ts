// Element-wise ops with broadcasting, and their gradients.
import type { BinaryOp, CompareOp, Operand, UnaryOp } from '../contract.js';
import type { DType } from '../dtype.js';
import { broadcastShapes, collapseBroadcast, padRank } from '../shape.js';
import { Tensor } from '../tensor.js';
import { requireDType, requireSameDType, requireSameEngine } from './check.js';
import { sumTo } from './sum-to.js';
import { reshape } from './movement.js';

/** A tensor, or a number that takes the dtype of the other argument. */
export type TensorLike = Tensor | number;

/** The same buffer seen with another shape, for a kernel call. */
function view(tensor: Tensor, shape: readonly number[]): Operand {
  return { buffer: tensor.buffer, shape, dtype: tensor.dtype };
}

function pair(op: string, a: TensorLike, b: TensorLike): [Tensor, Tensor] {
  const { engine, dtype } = (a instanceof Tensor ? a : b) as Tensor;
  const left = a instanceof Tensor ? a : engine.full([], a, dtype);
  const right = b instanceof Tensor ? b : engine.full([], b, dtype);
  requireSameEngine(op, left, right);
  requireSameDType(op, left, right);
  return [left, right];
}

function runBinary(kernel: 'binary' | 'compare', op: BinaryOp | CompareOp, a: Tensor, b: Tensor, dtype: DType): Tensor {
  const { engine } = a;
  const shape = broadcastShapes(a.shape, b.shape, op);
  const out = engine.empty(shape, dtype);
  const collapsed = collapseBroadcast(shape, padRank(a.shape, shape.length), padRank(b.shape, shape.length));
  const left = view(a, collapsed.inputs[0]!);
  const right = view(b, collapsed.inputs[1]!);
  if (kernel === 'binary') engine.kernels.binary(left, right, view(out, collapsed.out), { op: op as BinaryOp });
  else engine.kernels.compare(left, right, view(out, collapsed.out), { op: op as CompareOp });
  return out;
}

type BinaryGradient = (dy: Tensor, a: Tensor, b: Tensor, out: Tensor) => [() => Tensor, () => Tensor];

/** A broadcasting op; `gradient` gives the two input gradients in the output's shape, null where there is none. */
function binaryOp(op: BinaryOp, saves: 'nothing' | 'inputs', gradient: BinaryGradient | null) {
  return (x: TensorLike, y: TensorLike): Tensor => {
    const { engine } = (x instanceof Tensor ? x : y) as Tensor;
    const [a, b] = pair(op, x, y);
    const out = runBinary('binary', op, a, b, a.dtype);
    if (gradient) {
      const [shapeA, shapeB] = [a.shape, b.shape];
      engine.tape?.record({
        op,
        inputs: [a, b],
        outputs: [out],
        saved: saves === 'inputs' ? [a, b, out] : [],
        backward: ([dy], [left, right, result], needs) => {
          const [da, db] = gradient(dy!, left!, right!, result!);
          return [needs[0] ? sumTo(da(), shapeA) : null, needs[1] ? sumTo(db(), shapeB) : null];
        },
      });
    }
    return out;
  };
}

/** a + b. */
export const add = binaryOp('add', 'nothing', (dy) => [() => dy, () => dy]);
/** a − b. */
export const subtract = binaryOp('subtract', 'nothing', (dy) => [() => dy, () => negate(dy)]);
/** a · b. */
export const multiply = binaryOp('multiply', 'inputs', (dy, a, b) => [() => multiply(dy, b), () => multiply(dy, a)]);
/** a / b. */
export const divide = binaryOp('divide', 'inputs', (dy, _a, b, out) => [
  () => divide(dy, b),
  () => negate(divide(multiply(dy, out), b)),
]);
/** The larger of a and b; where they are equal the gradient goes to a. */
export const maximum = binaryOp('maximum', 'inputs', (dy, a, b) => [
  () => multiply(dy, cast(greaterEqual(a, b), dy.dtype)),
  () => multiply(dy, cast(less(a, b), dy.dtype)),
]);
/** The smaller of a and b; where they are equal the gradient goes to a. */
export const minimum = binaryOp('minimum', 'inputs', (dy, a, b) => [
  () => multiply(dy, cast(lessEqual(a, b), dy.dtype)),
  () => multiply(dy, cast(greater(a, b), dy.dtype)),
]);
/** a to the power b, for a > 0 (or integral b). */
export const power = binaryOp('power', 'inputs', (dy, a, b, out) => [
  () => multiply(dy, multiply(b, power(a, subtract(b, 1)))),
  () => multiply(dy, multiply(out, log(a))),
]);
/** ⌊a / b⌋ of integers, b > 0. No gradient. */
export const floorDivide = binaryOp('floorDivide', 'nothing', null);
/** a − b·⌊a / b⌋ of integers, b > 0. No gradient. */
export const remainder = binaryOp('remainder', 'nothing', null);
/** a and b of bools. */
export const logicalAnd = binaryOp('logicalAnd', 'nothing', null);
/** a or b of bools. */
export const logicalOr = binaryOp('logicalOr', 'nothing', null);

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

function unaryOp(op: UnaryOp, gradient: UnaryGradient | null) {
  return (x: Tensor): Tensor => {
    const out = x.engine.empty(x.shape, x.dtype);
    x.engine.kernels.unary(x, out, { op });
    if (gradient) {
      x.engine.tape?.record({ op, inputs: [x], outputs: [out], saved: [x, out], backward: ([dy], [a, y]) => [gradient(dy!, a!, y!)] });
    }
    return out;
  };
}

export const negate: (x: Tensor) => Tensor = unaryOp('negate', (dy) => negate(dy));
export const abs = unaryOp('abs', (dy, x) => multiply(dy, sign(x)));
/** −1, 0 or 1. No gradient. */
export const sign = unaryOp('sign', null);
export const exp: (x: Tensor) => Tensor = unaryOp('exp', (dy, _x, y) => multiply(dy, y));
/** Natural logarithm. */
export const log = unaryOp('log', (dy, x) => divide(dy, x));
export const sqrt = unaryOp('sqrt', (dy, _x, y) => divide(multiply(dy, 0.5), y));
/** 1/√x. */
export const rsqrt = unaryOp('rsqrt', (dy, x, y) => multiply(divide(multiply(dy, -0.5), x), y));
export const square = unaryOp('square', (dy, x) => multiply(multiply(dy, 2), x));
export const reciprocal = unaryOp('reciprocal', (dy, _x, y) => negate(multiply(dy, square(y))));
export const tanh = unaryOp('tanh', (dy, _x, y) => multiply(dy, subtract(1, square(y))));
/** Error function. */
export const erf = unaryOp('erf', (dy, x) => multiply(dy, multiply(exp(negate(square(x))), 2 / Math.sqrt(Math.PI))));
export const sigmoid = unaryOp('sigmoid', (dy, _x, y) => multiply(dy, multiply(y, subtract(1, y))));
export const relu = unaryOp('relu', (dy, x) => multiply(dy, cast(greater(x, 0), dy.dtype)));
export const sin: (x: Tensor) => Tensor = unaryOp('sin', (dy, x) => multiply(dy, cos(x)));
export const cos: (x: Tensor) => Tensor = unaryOp('cos', (dy, x) => negate(multiply(dy, sin(x))));
/** Largest integer ≤ x. No gradient. */
export const floor = unaryOp('floor', null);
/** Smallest integer ≥ x. No gradient. */
export const ceil = unaryOp('ceil', null);
/** not x of bools. */
export const logicalNot = unaryOp('logicalNot', null);

/** condition ? a : b, broadcasting. condition bool; a and b of one dtype. */
export function select(condition: Tensor, a: TensorLike, b: TensorLike): Tensor {
  const { engine } = condition;
  requireDType('select', 'condition', condition, 'bool');
  const dtype = a instanceof Tensor ? a.dtype : b instanceof Tensor ? b.dtype : 'float32';
  const yes = a instanceof Tensor ? a : engine.full([], a, dtype);
  const no = b instanceof Tensor ? b : engine.full([], b, dtype);
  requireSameDType('select', yes, no);
  const shape = broadcastShapes(condition.shape, broadcastShapes(yes.shape, no.shape, 'select'), 'select');
  const out = engine.empty(shape, dtype);
  const inputs = [condition, yes, no].map((tensor) => padRank(tensor.shape, shape.length));
  const collapsed = collapseBroadcast(shape, ...inputs);
  const [viewC, viewA, viewB] = [condition, yes, no].map((tensor, index) => view(tensor, collapsed.inputs[index]!));
  engine.kernels.select(viewC!, viewA!, viewB!, view(out, collapsed.out));
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
  if (x.dtype === dtype) return reshape(x, x.shape);
  const out = x.engine.empty(x.shape, dtype);
  x.engine.kernels.cast(x, out);
  const from = x.dtype;
  x.engine.tape?.record({ op: 'cast', inputs: [x], outputs: [out], saved: [], backward: ([dy]) => [cast(dy!, from)] });
  return out;
}

