// Cases of dropout. Which elements are dropped is exact; the rest is one division.
import { defineCase, FLOATS, input, output, shapeLabel, type ConformanceCase } from '../case.js';
import { uniform, words } from '../data.js';

export const dropout: readonly ConformanceCase[] = FLOATS.flatMap((dtype) =>
  [[[7, 13], 0], [[7, 13], 0.1], [[5, 3, 7], 0.5], [[1009], 0.9], [[0], 0.5], [[1], 0.5], [[65537, 2], 0.25]].map(([shape, rate]) =>
    defineCase('dropout', {
      label: `${shapeLabel(shape as number[])} at ${rate as number}`,
      dtype,
      operands: {
        x: input(shape as number[], dtype, uniform(1, 2)),
        key: input([2], 'uint32', words),
        out: output(shape as number[], dtype),
      },
      run: (kernel, { x, key, out }) => kernel({ x, key }, { out }, { rate: rate as number, stream: 3 }),
    }),
  ),
);
