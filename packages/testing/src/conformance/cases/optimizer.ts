// Cases of adamStep: one parameter and lists, with and without decay, scaled gradients, a skipped step.
import type { Operand } from '@xmoe/core';
import { defineCase, inout, input, shapeLabel, type ConformanceCase, type OperandSpec } from '../case.js';
import { cycle, uniform, type DataGenerator } from '../data.js';

interface Variant {
  readonly note: string;
  readonly shapes: readonly (readonly number[])[];
  readonly decay: boolean;
  readonly scale?: number;
  readonly gradient?: DataGenerator;
  /** The step number t of the bias corrections. */
  readonly step?: number;
  readonly beta1?: number;
  readonly beta2?: number;
  readonly v?: DataGenerator;
}

const VARIANTS: readonly Variant[] = [
  { note: 'decay', shapes: [[7, 13]], decay: true },
  { note: 'no decay', shapes: [[7, 13]], decay: false },
  { note: 'scaled gradient', shapes: [[13]], decay: true, scale: 1 / 1024, gradient: uniform(-900, 900) },
  { note: 'late', shapes: [[3, 2, 5]], decay: true, step: 1000 },
  { note: 'skipped, NaN gradient', shapes: [[13]], decay: true, scale: 0, gradient: cycle(NaN, 1, Infinity) },
  { note: 'empty', shapes: [[0]], decay: true },
  { note: 'large', shapes: [[65537]], decay: true },
  { note: 'list', shapes: [[5], [0], [8, 16], [1], [300], [4]], decay: true },
  { note: 'list with a large one', shapes: [[64], [40, 501], [13], [65537]], decay: false },
  { note: 'skipped list', shapes: [[5], [7]], decay: true, scale: 0 },
  { note: 'none', shapes: [], decay: true },
  { note: 'β near 1', shapes: [[7], [70, 70]], decay: true, beta1: 0.9999999, beta2: 0.99999999, v: cycle(0) },
];

export const adamStep: readonly ConformanceCase[] = VARIANTS.map(({ note, shapes, decay, scale = 1, gradient = uniform(-1, 1), step = 3, beta1 = 0.9, beta2 = 0.95, v = uniform(0.001, 0.1) }) =>
  defineCase('adamStep', {
    label: `${shapeLabel(...shapes)} ${note}`,
    operands: {
      ...list('parameter', shapes, (shape) => inout(shape, 'float32', uniform(-1, 1))),
      ...list('gradient', shapes, (shape) => input(shape, 'float32', gradient)),
      ...list('m', shapes, (shape) => inout(shape, 'float32', uniform(-0.1, 0.1))),
      ...list('v', shapes, (shape) => inout(shape, 'float32', v)),
      hyper: input([10], 'float32', cycle(0.01, beta1, beta2, 1e-8, 0.1, 1 - beta1 ** step, 1 - beta2 ** step, scale, 1 - beta1, 1 - beta2)),
    },
    tolerance: scale === 0 ? 'exact' : { relative: 1e-5, absolute: 1e-6 },
    run: (kernel, operands) => {
      const all = (name: string): Operand[] => shapes.map((_, index) => (operands as Record<string, Operand>)[`${name}${index}`]);
      kernel({ gradients: all('gradient'), hyper: operands.hyper }, { parameters: all('parameter'), m: all('m'), v: all('v') }, { decay });
    },
  }),
);

function list(name: string, shapes: readonly (readonly number[])[], spec: (shape: readonly number[]) => OperandSpec): Record<string, OperandSpec> {
  return Object.fromEntries(shapes.map((shape, index) => [`${name}${index}`, spec(shape)]));
}
