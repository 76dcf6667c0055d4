// Fallbacks of the AdamW step and the sum of squares.
import type { KernelAttributes, KernelInputs, KernelOutputs, Operand } from '../contract.js';
import { sizeOf } from '../shape.js';
import { reshape, type Scratch } from './scratch.js';

export function adamStep(
  scratch: Scratch,
  { gradients, hyper }: KernelInputs<'adamStep'>,
  { parameters, m, v }: KernelOutputs<'adamStep'>,
  { decay }: KernelAttributes<'adamStep'>,
): void {
  const scalars = Array.from({ length: 10 }, (_, index) => {
    const out = scratch.empty([1]);
    scratch.kernels.slice({ x: hyper }, { out }, { begin: [index] });
    return out;
  });
  const skip = scratch.compare('equal', scalars[7]!, 0);
  // The temporaries of one parameter at a time.
  parameters.forEach((parameter, index) => scratch.scope(() => {
    const shape = [sizeOf(parameter.shape)];
    const [p, g, first, second] = [parameter, gradients[index]!, m[index]!, v[index]!].map((x) => reshape(x, shape));
    step(scratch, p!, g!, first!, second!, scalars, skip, decay);
  }));
}

function step(
  scratch: Scratch, parameter: Operand, gradient: Operand, m: Operand, v: Operand, scalars: readonly Operand[], skip: Operand, decay: boolean,
): void {
  const [rate, beta1, beta2, epsilon, weightDecay, correction1, correction2, scale, rest1, rest2] = scalars as [
    Operand, Operand, Operand, Operand, Operand, Operand, Operand, Operand, Operand, Operand,
  ];
  const g = scratch.binary('multiply', gradient, scale);
  const blend = (old: Operand, beta: Operand, fresh: Operand, rest: Operand): Operand =>
    scratch.binary('add', scratch.binary('multiply', old, beta), scratch.binary('multiply', fresh, rest));
  const newM = blend(m, beta1, g, rest1);
  const newV = blend(v, beta2, scratch.unary('square', g), rest2);
  const root = scratch.unary('sqrt', scratch.binary('divide', newV, correction2));
  let update = scratch.binary('divide', scratch.binary('divide', newM, correction1), scratch.binary('add', root, epsilon));
  if (decay) update = scratch.binary('add', update, scratch.binary('multiply', parameter, weightDecay));
  const newParameter = scratch.binary('subtract', parameter, scratch.binary('multiply', update, rate));
  for (const [old, fresh] of [[parameter, newParameter], [m, newM], [v, newV]] as const) {
    scratch.copy(scratch.select(skip, old, fresh, scratch.empty(old.shape)), old);
  }
}

export function sumSquares(scratch: Scratch, { parts }: KernelInputs<'sumSquares'>, { out }: KernelOutputs<'sumSquares'>): void {
  const sums = parts.map((x) => {
    const sum = scratch.empty([1]);
    scratch.scope(() => {
      const squares = scratch.unary('square', scratch.cast(reshape(x, [sizeOf(x.shape)]), 'float32'));
      scratch.reduce('sum', squares, 0, sum);
    });
    return sum;
  });
  if (sums.length === 0) return scratch.kernels.fill({}, { out }, { value: 0 });
  const joined = scratch.empty([sums.length]);
  scratch.kernels.concat({ parts: sums }, { out: joined }, { axis: 0 });
  scratch.reduce('sum', joined, 0, out);
}
