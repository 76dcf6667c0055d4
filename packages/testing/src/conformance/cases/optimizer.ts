// Cases of adamStep: with and without decay, scaled gradients, a skipped step.
import { defineCase, inout, input, shapeLabel, type ConformanceCase } from '../case.js';
import { cycle, uniform, type DataGenerator } from '../data.js';

interface Variant {
  readonly note: string;
  readonly shape: readonly number[];
  readonly decay: boolean;
  readonly scale?: number;
  readonly gradient?: DataGenerator;
  /** The step number t of the bias corrections. */
  readonly step?: number;
}

const VARIANTS: readonly Variant[] = [
  { note: 'decay', shape: [7, 13], decay: true },
  { note: 'no decay', shape: [7, 13], decay: false },
  { note: 'scaled gradient', shape: [13], decay: true, scale: 1 / 1024, gradient: uniform(-900, 900) },
  { note: 'late', shape: [3, 2, 5], decay: true, step: 1000 },
  { note: 'skipped, NaN gradient', shape: [13], decay: true, scale: 0, gradient: cycle(NaN, 1, Infinity) },
  { note: 'empty', shape: [0], decay: true },
  { note: 'large', shape: [65537], decay: true },
];

export const adamStep: readonly ConformanceCase[] = VARIANTS.map(({ note, shape, decay, scale = 1, gradient = uniform(-1, 1), step = 3 }) =>
  defineCase('adamStep', {
    label: `${shapeLabel(shape)} ${note}`,
    operands: {
      parameter: inout(shape, 'float32', uniform(-1, 1)),
      gradient: input(shape, 'float32', gradient),
      m: inout(shape, 'float32', uniform(-0.1, 0.1)),
      v: inout(shape, 'float32', uniform(0.001, 0.1)),
      hyper: input([8], 'float32', cycle(0.01, 0.9, 0.95, 1e-8, 0.1, 1 - 0.9 ** step, 1 - 0.95 ** step, scale)),
    },
    tolerance: scale === 0 ? 'exact' : { relative: 1e-5, absolute: 1e-6 },
    run: (kernel, { parameter, gradient: dp, m, v, hyper }) => kernel(parameter, dp, m, v, hyper, { decay }),
  }),
);
