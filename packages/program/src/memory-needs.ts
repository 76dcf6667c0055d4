// Whether a training fits into the memory of this machine, from its sizes alone: a lower bound, so that nothing that would
// work is refused. What a device of its own holds is not known here.
import { totalmem } from 'node:os';
import { XMoEError, type Backend } from '@xmoe/core';
import { bytesOf, bytesOfModel, type MemoryKnob, type MemoryNeeds } from '@xmoe/models';
import { formatCompact } from '@xmoe/train';

/** Bytes of memory that this process may use at most: what the machine has, or what its container allows. */
export function memoryOfMachine(): number {
  const allowed = process.constrainedMemory?.() ?? 0;
  return allowed > 0 ? Math.min(allowed, totalmem()) : totalmem();
}

/** Backends that compute in the memory of the machine. */
const usesMachine = (backend: string): boolean => backend.startsWith('cpu') || ['tfjs:cpu', 'tfjs:wasm', 'tfjs:node'].includes(backend);

/** Bytes that a backend can hold: those of the machine, or of its own memory where that ends before. */
export function memoryOf({ capabilities: { memoryBytes = Infinity } }: Pick<Backend, 'capabilities'>, machine = memoryOfMachine()): number {
  return Math.min(memoryBytes, machine);
}

/** @throws XMoEError `memory` that says what would fit, when the needs exceed what there is */
export function refuseTooLarge(needs: MemoryNeeds, knobs: readonly MemoryKnob[], { backend, available = memoryOfMachine() }: { backend: string; available?: number }): void {
  if (!usesMachine(backend) || bytesOf(needs) <= available) return;
  throw new XMoEError('memory', `the training needs at least ${memoryText(needs)}, and ${backend} has ${formatCompact(available)}B here`, {
    hint: whatFits(knobs, available),
  });
}

/** How the needs compare with this machine, for a dry run, which may be for another one. */
export function memoryHere(needs: MemoryNeeds, knobs: readonly MemoryKnob[], available = memoryOfMachine()): string {
  const here = `this machine has ${formatCompact(available)}B`;
  return bytesOf(needs) <= available ? here : `${here}, ${whatFits(knobs, available)}`;
}

/** `41.2GB (weights, gradients and moments 41.0GB, activations 200MB)` */
function memoryText(needs: MemoryNeeds): string {
  return `${formatCompact(bytesOf(needs))}B (weights, gradients and moments ${formatCompact(bytesOfModel(needs))}B, activations from ${formatCompact(4 * needs.activations)}B)`;
}

/** Rows of a dry run: the needs of one process, or of each rank of a group that holds the experts together; where moments are spread over ranks, those of more ranks too. */
export function memoryFacts(train: { readonly expertParallel?: number; readonly shardOptimizer?: boolean }, needsOf: (ranks: number) => { needs: MemoryNeeds; knobs: readonly MemoryKnob[] }): (readonly [string, string])[] {
  const { expertParallel: group = 1, shardOptimizer = false } = train;
  const { needs, knobs } = needsOf(group);
  const more = shardOptimizer ? [2, 4, 8, 64].map((groups) => `${formatCompact(bytesOf(needsOf(groups * group).needs))}B of ${groups * group}`) : [];
  return [
    ['memory', `at least ${memoryText(needs)}${group > 1 ? ' on each rank' : ''}; ${memoryHere(needs, knobs)}`],
    ...(more.length > 0 ? [['on each rank', more.join(', ')] as const] : []),
  ];
}

/** Each knob alone, halved until it fits. */
function whatFits(knobs: readonly MemoryKnob[], available: number): string {
  const fitting = knobs.flatMap(({ name, value, needsWith }) => {
    for (let smaller = Math.floor(value / 2); smaller >= 1; smaller = Math.floor(smaller / 2)) {
      if (bytesOf(needsWith(smaller)) <= available) return [`${name}=${smaller}`];
    }
    return [];
  });
  return fitting.length > 0 ? `what would fit: ${fitting.join(', or ')}` : 'make several of its sizes smaller, or use a machine with more memory';
}
