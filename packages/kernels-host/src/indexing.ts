// Kernels that read or add at indices: gatherRows, scatterAddRows, addRows, takeAlongLast, addAlongLast.
// An index outside the axis (−1 by convention) reads zero and adds nothing.
import { elements, int32s, type ViewInputs, type ViewOutputs } from './host-view.js';
import { copyRun } from './movement.js';

export function gatherRows({ x, indices }: ViewInputs<'gatherRows'>, { out }: ViewOutputs<'gatherRows'>): void {
  const [source, rows, target] = [elements(x), int32s(indices), elements(out)];
  const [R, D] = x.shape;
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i];
    if (row >= 0 && row < R) copyRun(source, row * D, 1, target, i * D, D);
    else target.fill(0, i * D, (i + 1) * D);
  }
}

/** Adds in the precision of the storage, in ascending source order. */
export function scatterAddRows({ x, indices }: ViewInputs<'scatterAddRows'>, { out }: ViewOutputs<'scatterAddRows'>): void {
  elements(out).fill(0);
  addRows({ x, indices }, { sums: out });
}

export function addRows({ x, indices }: ViewInputs<'addRows'>, { sums }: ViewOutputs<'addRows'>): void {
  const [source, rows, target] = [elements(x), int32s(indices), elements(sums)];
  const [R, D] = sums.shape;
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i];
    if (row < 0 || row >= R) continue;
    const [from, to] = [i * D, row * D];
    for (let j = 0; j < D; j++) target[to + j] += source[from + j];
  }
}

export function takeAlongLast({ x, indices }: ViewInputs<'takeAlongLast'>, { out }: ViewOutputs<'takeAlongLast'>): void {
  const [source, columns, target] = [elements(x), int32s(indices), elements(out)];
  const [R, C] = x.shape;
  const k = indices.shape[1];
  for (let row = 0, i = 0; row < R; row++) {
    for (let j = 0; j < k; j++, i++) {
      const column = columns[i];
      target[i] = column >= 0 && column < C ? source[row * C + column] : 0;
    }
  }
}

export function addAlongLast({ x, indices }: ViewInputs<'addAlongLast'>, { out }: ViewOutputs<'addAlongLast'>): void {
  const [source, columns, target] = [elements(x), int32s(indices), elements(out)];
  const [R, C] = out.shape;
  const k = indices.shape[1];
  target.fill(0);
  for (let row = 0, i = 0; row < R; row++) {
    for (let j = 0; j < k; j++, i++) {
      const column = columns[i];
      if (column >= 0 && column < C) target[row * C + column] += source[i];
    }
  }
}
