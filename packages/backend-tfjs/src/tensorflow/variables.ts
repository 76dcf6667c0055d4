// AdamW by TensorFlow's own kernel, which works in place on variables: a parameter and its moments become variables with their first step, and
// are read as tensors only by who asks for them. And the sum of squares.
import { sizeOf, type FusedKernels, type Operand } from '@xmoe/core';
import { boxOf, type Box } from '../box.js';
import type { Pieces, ReadNow } from './elementwise.js';
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

function createVariables(ops: Ops) {
  const { run, runMany, id } = ops;
  let made = 0;

  /** The box's contents as a variable, which the box then holds in place of a tensor. */
  const variableOf = (operand: Operand): Id => {
    const box = boxOf(operand);
    if (box.variable === null) {
      const handle = ops.keep(run('VarHandleOp', { container: '', shared_name: `xmoe ${process.pid} ${made++}`, dtype: 'float32', shape: [...operand.shape] }));
      runMany('AssignVariableOp', { dtype: 'float32' }, [handle, id(operand)], 0);
      box.variable = {
        handle,
        shape: [...operand.shape],
        read: () => ops.wrap(run('ReadVariableOp', { dtype: 'float32' }, handle), box.variable!.shape, 'float32'),
        release() {
          runMany('DestroyResourceOp', { ignore_lookup_error: true }, [handle], 0);
          ops.free(handle);
        },
      };
    }
    return box.variable.handle;
  };
  /** Only the variable holds the memory now: it is written in place. */
  const letGo = (box: Box): void => {
    box.tensor?.dispose();
    box.tensor = null;
  };
  return { variableOf, letGo };
}

/** `others` takes what is not covered here. */
export function optimizerKernels(ops: Ops, { multiply }: Pieces, read: ReadNow, others: () => Optimizer): Optimizer {
  const { run, runMany, id, put, scalar } = ops;
  const { variableOf, letGo } = createVariables(ops);
  const as = ({ buffer, dtype }: Operand, shape: readonly number[]): Operand => ({ buffer, shape, dtype });
  const apply = (parameter: Operand, gradient: Operand, m: Operand, v: Operand, step: Step, decay: boolean): void => {
    const { shape } = parameter;
    const [p, first, second] = [parameter, m, v].map((x) => variableOf(as(x, shape))) as [Id, Id, Id];
    const g = id(as(gradient, shape));
    const scaled = step.scale === 1 ? g : multiply(g, scalarOf(step.scale));
    if (decay && step.keep !== 1) {
      const kept = multiply(id(parameter), scalarOf(step.keep));
      letGo(boxOf(parameter));
      runMany('AssignVariableOp', { dtype: 'float32' }, [p, kept], 0);
      ops.free(kept);
    }
    for (const x of [parameter, m, v]) letGo(boxOf(x));
    const zero = scalar(0); // of the corrections, which are in the rate
    const numbers = [step.rate, step.beta1, step.beta2, step.epsilon].map(scalarOf);
    runMany('ResourceApplyAdam', { T: 'float32', use_locking: false, use_nesterov: false }, [p, first, second, zero, zero, ...numbers, scaled], 0);
    if (scaled !== g) ops.free(scaled);
  };
  /** Made for one call: rates change with every step. */
  const scalarOf = (value: number): Id => ops.upload(Float32Array.of(value), []);

  return {
    adamStep(inputs, updates, attributes) {
      const { gradients, hyper } = inputs;
      const known = read?.(hyper);
      if (known && known[7] === 0) return; // a scale of 0 skips the step
      const step = known ? stepOf(known) : null;
      if (!step) return others().adamStep(inputs, updates, attributes);
      const { parameters, m, v } = updates;
      parameters.forEach((parameter, index) => {
        if (sizeOf(parameter.shape) > 0) ops.step(() => apply(parameter, gradients[index]!, m[index]!, v[index]!, step, attributes.decay));
      });
    },
    sumSquares(inputs, outputs) {
      const parts = inputs.parts.filter(({ shape }) => sizeOf(shape) > 0);
      if (parts.length === 0 || parts.some(({ dtype }) => dtype !== 'float32')) return others().sumSquares(inputs, outputs);
      ops.step(() => {
        const halves = parts.map((x) => run('L2Loss', { T: 'float32' }, id(x)));
        const half = halves.length === 1 ? halves[0]! : run('AddN', { 'int:N': halves.length, T: 'float32' }, ...halves);
        put(outputs.out, ops.reshape(multiply(half, scalar(2)), outputs.out.shape));
      });
    },
  };
}
