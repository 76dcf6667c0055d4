// gatherRows, scatterAddRows, takeAlongLast, addAlongLast and bincount on the host. Sums run in ascending source order.
import type { RequiredKernels } from '@xmoe/core';
import type { Memory } from '../memory.js';
import { copyRun } from './host-movement.js';

type Indexing = 'gatherRows' | 'scatterAddRows' | 'takeAlongLast' | 'addAlongLast' | 'bincount';

export function hostIndexing(memory: Memory): Pick<RequiredKernels, Indexing> {
  return {
    gatherRows: ({ x, indices }, { out }) =>
      memory.run([out], [x, indices], ([z], [source, index]) => {
        const [R, D] = x.shape;
        for (let i = 0; i < index.length; i++) {
          const row = index[i];
          if (row >= 0 && row < R) copyRun(z, i * D, source, row * D, D);
          else z.fill(0, i * D, (i + 1) * D);
        }
      }),
    scatterAddRows: ({ x, indices }, { out }) =>
      memory.run([out], [x, indices], ([z], [source, index]) => {
        const [R, D] = out.shape;
        z.fill(0);
        for (let i = 0, from = 0; i < index.length; i++, from += D) {
          const row = index[i];
          if (row < 0 || row >= R) continue;
          for (let j = 0, to = row * D; j < D; j++) z[to + j] += source[from + j];
        }
      }),
    takeAlongLast: ({ x, indices }, { out }) =>
      memory.run([out], [x, indices], ([z], [source, index]) => {
        const [R, C] = x.shape;
        const k = indices.shape[1];
        for (let r = 0, at = 0; r < R; r++) {
          for (let j = 0; j < k; j++, at++) {
            const column = index[at];
            z[at] = column >= 0 && column < C ? source[r * C + column] : 0;
          }
        }
      }),
    addAlongLast: ({ x, indices }, { out }) =>
      memory.run([out], [x, indices], ([z], [source, index]) => {
        const [R, C] = out.shape;
        const k = indices.shape[1];
        z.fill(0);
        for (let r = 0, at = 0; r < R; r++) {
          for (let j = 0; j < k; j++, at++) {
            const column = index[at];
            if (column >= 0 && column < C) z[r * C + column] += source[at];
          }
        }
      }),
    bincount: ({ x }, { out }) =>
      memory.run([out], [x], ([z], [source]) => {
        z.fill(0);
        for (let i = 0; i < source.length; i++) {
          const bin = source[i];
          if (bin >= 0 && bin < z.length) z[bin]++;
        }
      }),
  };
}
