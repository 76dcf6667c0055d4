// Fallback of rows that are added in place.
import type { KernelInputs, KernelOutputs } from '../contract.js';
import type { Scratch } from './scratch.js';

export function addRows(scratch: Scratch, { x, indices }: KernelInputs<'addRows'>, { sums }: KernelOutputs<'addRows'>): void {
  const added = scratch.empty(sums.shape);
  scratch.kernels.scatterAddRows({ x, indices }, { out: added });
  scratch.copy(scratch.binary('add', sums, added), sums);
}
