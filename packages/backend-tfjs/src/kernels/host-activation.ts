// biasActivation and its gradient on the host, over the rows of ragged segments. The functions are in host-math.ts.
import type { FusedKernels, Operand } from '@xmoe/core';
import type { HostArray } from '../box.js';
import type { Memory } from '../memory.js';
import { activationOf, derivativeOf } from './host-math.js';

/** Segment g of the rows, as [first, end): the whole when there are no offsets. */
export function segmentsOf(offsets: HostArray | undefined, rows: number): { first: number; end: number }[] {
  if (!offsets) return [{ first: 0, end: rows }];
  const segments: { first: number; end: number }[] = [];
  for (let g = 0; g + 1 < offsets.length; g++) segments.push({ first: offsets[g], end: offsets[g + 1] });
  return segments;
}

export function present(...operands: readonly (Operand | null)[]): Operand[] {
  return operands.filter((operand) => operand !== null);
}

export function hostActivation(memory: Memory): Pick<FusedKernels, 'biasActivation' | 'biasActivationGrad'> {
  return {
    biasActivation: ({ x, bias, offsets }, { out }, { activation }) =>
      memory.run([out], [x, ...present(bias, offsets)], ([z], [source, ...rest]) => {
        const [R, C] = x.shape;
        const shift = bias ? rest[0] : null;
        const f = activationOf(activation);
        const segments = segmentsOf(offsets ? rest[rest.length - 1] : undefined, R);
        segments.forEach(({ first, end }, g) => {
          for (let at = first * C, r = first; r < end; r++) {
            for (let j = 0; j < C; j++, at++) z[at] = f(shift ? source[at] + shift[g * C + j] : source[at]);
          }
        });
        z.fill(0, (segments.at(-1)?.end ?? 0) * C);
      }),
    biasActivationGrad: ({ x, bias, offsets, dy }, { dx, dbias }, { activation }) =>
      memory.run([dx, ...present(dbias)], [x, dy, ...present(bias, offsets)], ([z, dShift], [source, upstream, ...rest]) => {
        const [R, C] = x.shape;
        const shift = bias ? rest[0] : null;
        const f = derivativeOf(activation);
        const segments = segmentsOf(offsets ? rest[rest.length - 1] : undefined, R);
        const sums = new Float64Array(C);
        segments.forEach(({ first, end }, g) => {
          sums.fill(0);
          for (let at = first * C, r = first; r < end; r++) {
            for (let j = 0; j < C; j++, at++) {
              const value = upstream[at] * f(shift ? source[at] + shift[g * C + j] : source[at]);
              z[at] = value;
              sums[j] += value;
            }
          }
          dShift?.set(sums, g * C);
        });
        z.fill(0, (segments.at(-1)?.end ?? 0) * C);
      }),
  };
}
