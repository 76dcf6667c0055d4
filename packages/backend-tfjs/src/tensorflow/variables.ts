// AdamW by TensorFlow's own kernel, which works in place on variables: a parameter and its moments become variables with their first step, and
// are read as tensors only by who asks for them. And the sum of squares.
import { sizeOf, type FusedKernels, type Operand } from '@xmoe/core';
import { sameShape } from '@xmoe/core/backend';
import { boxOf } from '../box.js';
import type { Pieces, ReadNow } from './elementwise.js';
import { createVariable, groupOf, joined, Member, MOST_GROUPED } from './groups.js';
import type { Id, Ops } from './ops.js';

type Optimizer = Pick<FusedKernels, 'adamStep' | 'sumSquares'>;

/** What a step does, in the constants of TensorFlow's kernel, which forms 1 − β itself and knows no scale. */
interface Step {
  readonly rate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** Of the gradient, times the scale that the caller gives. */
  readonly stretch: number;
  /** Of a parameter that decays. */
  readonly keep: number;
}

/** The parts of a number that may be lost by forming 1 − β in float32. */
const TOLERANCE = 4e-6;

/**
 * TensorFlow computes v += (g² − v)·(1 − β2), with little left of 1 − β2 where β2 is near 1. A gradient scaled by √(rest2 / (1 − β2)) makes the
 * second moment right, and a β1 that makes up for it the first. Null where float32 has no such β1, or a number is not known (NaN).
 */
function stepOf(hyper: ArrayLike<number>): Step | null {
  const [rate, beta1, beta2, epsilon, weightDecay, correction1, correction2, , rest1, rest2] = Array.from(hyper) as [
    number, number, number, number, number, number, number, number, number, number,
  ];
  const formed2 = Math.fround(1 - beta2);
  if (!(formed2 > 0)) return null;
  const stretch = Math.sqrt(rest2 / formed2);
  const adjusted = Math.fround(1 - rest1 / stretch);
  const formed1 = Math.fround(1 - adjusted);
  const off = [(formed1 * stretch) / rest1 - 1, (1 - formed1) / beta1 - 1, (1 - formed2) / beta2 - 1];
  if (!off.every((part) => Math.abs(part) <= TOLERANCE)) return null;
  const root = Math.sqrt(correction2);
  const step = { rate: (rate * root) / correction1, beta1: adjusted, beta2, epsilon: epsilon * root, stretch, keep: 1 - rate * weightDecay };
  return Object.values(step).some(Number.isNaN) ? null : step;
}

/** The numbers of a step on the device, made for one call: rates change with every step. */
interface Numbers {
  readonly keep: Id;
  /** What TensorFlow's kernel takes, in its order: rate, β1, β2, ε. */
  readonly rates: readonly Id[];
  /** What the gradient is multiplied with; null: nothing. */
  scaled(gradient: Id): Id | null;
}

function numbersOfHost({ upload }: Ops, { multiply }: Pieces, step: Step, scale: number): Numbers {
  const [keep, factor, ...rates] = [step.keep, scale * step.stretch, step.rate, step.beta1, step.beta2, step.epsilon].map((value) => upload(Float32Array.of(value), [])) as [Id, Id, ...Id[]];
  return { keep, rates, scaled: (gradient) => (scale * step.stretch === 1 ? null : multiply(gradient, factor)) };
}

/** The scale of the gradient is on the device, and stays there. Where it is 0, the numbers are those of a step that changes nothing. */
function numbersOfDevice({ run, runMany, id, scalar, vector, upload, reshape }: Ops, { multiply, multiplyNoNan, select }: Pieces, step: Step, hyper: Operand): Numbers {
  const scale = reshape(run('Slice', { T: 'float32', Index: 'int32' }, id(hyper), vector([7]), vector([1])), []);
  const taken = [step.keep, step.rate, step.beta1, step.beta2, step.epsilon];
  const [nothing, all] = [[1, 0, 1, 1, 1], taken].map((values) => upload(Float32Array.from(values), [values.length])) as [Id, Id];
  const chosen = select(run('Equal', { T: 'float32' }, scale, scalar(0)), nothing, all);
  const [keep, ...rates] = runMany('Unpack', { T: 'float32', 'int:num': taken.length, 'int:axis': 0 }, [chosen], taken.length) as [Id, ...Id[]];
  const factor = multiply(scale, scalar(step.stretch));
  return { keep, rates, scaled: (gradient) => multiplyNoNan(gradient, factor) };
}

/** The box's contents as a variable, which the box then holds in place of a tensor; `letGo` comes before it is written. */
function variableOf(ops: Ops, operand: Operand): { handle: Id; letGo(): void } {
  const box = boxOf(operand);
  if (box.variable === null || box.variable instanceof Member || !sameShape(box.variable.shape, operand.shape)) {
    const { handle, destroy } = createVariable(ops, ops.id(operand), operand.shape);
    const shape = [...operand.shape];
    box.release();
    box.variable = { handle, shape, read: () => ops.wrap(ops.run('ReadVariableOp', { dtype: 'float32' }, handle), shape, 'float32'), release: destroy };
  }
  return { handle: box.variable.handle, letGo: () => box.letGo() };
}

interface Update {
  readonly parameters: readonly Operand[];
  readonly gradients: readonly Operand[];
  readonly m: readonly Operand[];
  readonly v: readonly Operand[];
}

/** Which parameters are updated together: each large one alone, the small ones as one. Those without elements are not there. */
function groupsOf(parameters: readonly Operand[]): number[][] {
  const sizes = parameters.map(({ shape }) => sizeOf(shape));
  const indices = [...sizes.keys()].filter((index) => sizes[index]! > 0);
  const small = indices.filter((index) => sizes[index]! <= MOST_GROUPED);
  return [...indices.filter((index) => sizes[index]! > MOST_GROUPED).map((index) => [index]), ...(small.length > 0 ? [small] : [])];
}

/** `others` takes what is not covered here. */
export function optimizerKernels(ops: Ops, pieces: Pieces, read: ReadNow, others: () => Optimizer): Optimizer {
  const { run, runMany, id, put, scalar } = ops;
  const { multiply } = pieces;
  const as = ({ buffer, dtype }: Operand, shape: readonly number[]): Operand => ({ buffer, shape, dtype });

  /** One update of a parameter, or of several small ones as one. */
  const apply = ({ parameters, gradients, m, v }: Update, { keep, rates, scaled }: Numbers, decay: boolean): void => {
    const states = [parameters, m, v].map((operands) => (operands.length === 1 ? variableOf(ops, operands[0]!) : groupOf(ops, operands)));
    const [p, first, second] = states.map(({ handle }) => handle) as [Id, Id, Id];
    const g = gradients.length === 1 ? id(gradients[0]!) : joined(ops, gradients);
    const gradient = scaled(g);
    if (decay) {
      const held = parameters.length === 1 ? id(parameters[0]!) : run('ReadVariableOp', { dtype: 'float32' }, p);
      const kept = multiply(held, keep);
      if (parameters.length > 1) ops.free(held);
      states[0]!.letGo();
      runMany('AssignVariableOp', { dtype: 'float32' }, [p, kept], 0);
      ops.free(kept);
    }
    for (const state of states) state.letGo();
    const zero = scalar(0); // of the corrections, which are in the rate
    runMany('ResourceApplyAdam', { T: 'float32', use_locking: false, use_nesterov: false }, [p, first, second, zero, zero, ...rates, gradient ?? g], 0);
    if (gradient !== null) ops.free(gradient);
    if (gradients.length > 1) ops.free(g);
  };

  return {
    adamStep(inputs, updates, attributes) {
      const { gradients, hyper } = inputs;
      const known = read ? read(hyper) : boxOf(hyper).known;
      if (read && known![7] === 0) return; // a scale of 0 skips the step
      const step = known && stepOf(known);
      if (!step) return others().adamStep(inputs, updates, attributes);
      const { parameters, m, v } = updates;
      ops.step(() => {
        const numbers = read ? numbersOfHost(ops, pieces, step, known[7]!) : numbersOfDevice(ops, pieces, step, hyper);
        const decay = attributes.decay && step.keep !== 1;
        for (const indices of groupsOf(parameters)) {
          const pick = (operands: readonly Operand[]): Operand[] => indices.map((index) => as(operands[index]!, parameters[index]!.shape));
          apply({ parameters: pick(parameters), gradients: pick(gradients), m: pick(m), v: pick(v) }, numbers, decay);
        }
      });
    },
    sumSquares(inputs, outputs) {
      const parts = inputs.parts.filter(({ shape }) => sizeOf(shape) > 0);
      if (parts.length === 0 || parts.some(({ dtype }) => dtype !== 'float32')) return others().sumSquares(inputs, outputs);
      ops.step(() => {
        const small = parts.filter(({ shape }) => sizeOf(shape) <= MOST_GROUPED);
        const large = parts.filter((x) => !small.includes(x));
        const whole = [...large.map(id), ...(small.length > 0 ? [joined(ops, small)] : [])];
        const halves = whole.map((x) => run('L2Loss', { T: 'float32' }, x));
        const half = halves.length === 1 ? halves[0]! : run('AddN', { 'int:N': halves.length, T: 'float32' }, ...halves);
        put(outputs.out, ops.reshape(multiply(half, scalar(2)), outputs.out.shape));
      });
    },
  };
}
