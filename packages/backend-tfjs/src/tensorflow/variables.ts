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
  /** Of the gradient. */
  readonly scale: number;
  /** Of a parameter that decays. */
  readonly keep: number;
}

/** The parts of a number that may be lost by forming 1 − β in float32. */
const TOLERANCE = 4e-6;

/**
 * TensorFlow computes v += (g² − v)·(1 − β2), with little left of 1 − β2 where β2 is near 1. A gradient scaled by √(rest2 / (1 − β2)) makes the
 * second moment right, and a β1 that makes up for it the first. Null where float32 has no such β1.
 */
function stepOf(hyper: ArrayLike<number>): Step | null {
  const [rate, beta1, beta2, epsilon, weightDecay, correction1, correction2, scale, rest1, rest2] = Array.from(hyper) as [
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
  return { rate: (rate * root) / correction1, beta1: adjusted, beta2, epsilon: epsilon * root, scale: scale * stretch, keep: 1 - rate * weightDecay };
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
export function optimizerKernels(ops: Ops, { multiply }: Pieces, read: ReadNow, others: () => Optimizer): Optimizer {
  const { run, runMany, id, put, scalar, upload } = ops;
  const as = ({ buffer, dtype }: Operand, shape: readonly number[]): Operand => ({ buffer, shape, dtype });

  /** One update of a parameter, or of several small ones as one. */
  const apply = ({ parameters, gradients, m, v }: Update, step: Step, numbers: readonly Id[], decay: boolean): void => {
    const states = [parameters, m, v].map((operands) => (operands.length === 1 ? variableOf(ops, operands[0]!) : groupOf(ops, operands)));
    const [p, first, second] = states.map(({ handle }) => handle) as [Id, Id, Id];
    const g = gradients.length === 1 ? id(gradients[0]!) : joined(ops, gradients);
    const [keep, scale, ...rates] = numbers as [Id, Id, Id, Id, Id, Id];
    const scaled = step.scale === 1 ? g : multiply(g, scale);
    if (decay && step.keep !== 1) {
      const held = parameters.length === 1 ? id(parameters[0]!) : run('ReadVariableOp', { dtype: 'float32' }, p);
      const kept = multiply(held, keep);
      if (parameters.length > 1) ops.free(held);
      states[0]!.letGo();
      runMany('AssignVariableOp', { dtype: 'float32' }, [p, kept], 0);
      ops.free(kept);
    }
    for (const state of states) state.letGo();
    const zero = scalar(0); // of the corrections, which are in the rate
    runMany('ResourceApplyAdam', { T: 'float32', use_locking: false, use_nesterov: false }, [p, first, second, zero, zero, ...rates, scaled], 0);
    if (scaled !== g) ops.free(scaled);
    if (gradients.length > 1) ops.free(g);
  };

  return {
    adamStep(inputs, updates, attributes) {
      const { gradients, hyper } = inputs;
      const known = read?.(hyper);
      if (known && known[7] === 0) return; // a scale of 0 skips the step
      const step = known ? stepOf(known) : null;
      if (!step) return others().adamStep(inputs, updates, attributes);
      const { parameters, m, v } = updates;
      ops.step(() => {
        // Made for one call: rates change with every step.
        const numbers = [step.keep, step.scale, step.rate, step.beta1, step.beta2, step.epsilon].map((value) => upload(Float32Array.of(value), []));
        for (const indices of groupsOf(parameters)) {
          const pick = (operands: readonly Operand[]): Operand[] => indices.map((index) => as(operands[index]!, parameters[index]!.shape));
          apply({ parameters: pick(parameters), gradients: pick(gradients), m: pick(m), v: pick(v) }, step, numbers, attributes.decay);
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
