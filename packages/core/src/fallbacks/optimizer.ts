// Fallbacks of the AdamW step and the sum of squares.
import type { Operand } from '../contract.js';
import { sizeOf } from '../shape.js';
import { reshape, type Scratch } from './scratch.js';

export function adamStep(
  scratch: Scratch,
  parameter: Operand,
  gradient: Operand,
  m: Operand,
  v: Operand,
  hyper: Operand,
  { decay }: { decay: boolean },
): void {
  const shape = [sizeOf(parameter.shape)];
  const flat = (x: Operand): Operand => reshape(x, shape);
  const at = (index: number): Operand => {
    const out = scratch.empty([1]);
    scratch.kernels.slice(hyper, out, { begin: [index] });
    return out;
  };
  const complement = (x: Operand): Operand => scratch.binary('add', scratch.unary('negate', x), 1);
  const [rate, beta1, beta2, epsilon, weightDecay, correction1, correction2, scale] = Array.from({ length: 8 }, (_, i) => at(i)) as [
    Operand, Operand, Operand, Operand, Operand, Operand, Operand, Operand,
  ];
  const skip = scratch.compare('equal', scale, 0);
  const g = scratch.binary('multiply', flat(gradient), scale);
  const blend = (old: Operand, beta: Operand, fresh: Operand): Operand =>
    scratch.binary('add', scratch.binary('multiply', flat(old), beta), scratch.binary('multiply', fresh, complement(beta)));
  const newM = blend(m, beta1, g);
  const newV = blend(v, beta2, scratch.unary('square', g));
  const root = scratch.unary('sqrt', scratch.binary('divide', newV, correction2));
  let update = scratch.binary('divide', scratch.binary('divide', newM, correction1), scratch.binary('add', root, epsilon));
  if (decay) update = scratch.binary('add', update, scratch.binary('multiply', flat(parameter), weightDecay));
  const newParameter = scratch.binary('subtract', flat(parameter), scratch.binary('multiply', update, rate));
  scratch.copy(scratch.select(skip, flat(parameter), newParameter, scratch.empty(shape)), flat(parameter));
  scratch.copy(scratch.select(skip, flat(m), newM, scratch.empty(shape)), flat(m));
  scratch.copy(scratch.select(skip, flat(v), newV, scratch.empty(shape)), flat(v));
}

export function sumSquares(scratch: Scratch, x: Operand, out: Operand): void {
  const squares = scratch.unary('square', scratch.cast(reshape(x, [sizeOf(x.shape)]), 'float32'));
  scratch.reduce('sum', squares, 0, out);
}
