// What fits into a machine, and what is said of what does not.
import { expect, it } from 'vitest';
import { bytesOf, type MemoryKnob, type MemoryNeeds } from '@xmoe/models';
import { memoryFacts, memoryHere, refuseTooLarge } from '../src/memory-needs.js';

const needsOf = (width: number, layers: number): MemoryNeeds => ({ parameters: layers * width * width, activations: layers * width });
const knobs = (width: number, layers: number): MemoryKnob[] => [
  { name: 'width', value: width, needsWith: (value) => needsOf(value, layers) },
  { name: 'layers', value: layers, needsWith: (value) => needsOf(width, value) },
];

it('counts four float32 per parameter and one per activation', () => {
  expect(bytesOf({ parameters: 10, activations: 5 })).toBe(180);
});

it('counts two float32 per parameter and two per moment that is here', () => {
  expect(bytesOf({ parameters: 10, moments: 2, activations: 5 })).toBe(116);
});

it('tells a dry run what each rank needs, of more ranks where moments are spread over them', () => {
  const needs = (ranks: number) => ({ needs: { parameters: 1000, moments: 1000 / ranks, activations: 0 }, knobs: [] });
  expect(memoryFacts({}, needs)).toEqual([['memory', expect.stringMatching(/^at least 16\.0kB \(.*\); this machine has/)]]);
  expect(memoryFacts({ expertParallel: 2, shardOptimizer: true }, needs)).toEqual([
    ['memory', expect.stringMatching(/^at least 12\.0kB \(.*\) on each rank; this machine has/)], ['on each rank', '10.0kB of 4, 9.00kB of 8, 8.50kB of 16, 8.06kB of 128'],
  ]);
});

it('refuses what cannot fit with what would, each size alone', () => {
  const available = 16 * 100 * 100 + 4 * 100; // one layer of width 100
  const refuse = (width: number, layers: number) => () => refuseTooLarge(needsOf(width, layers), knobs(width, layers), { backend: 'cpu:wasm', available });
  expect(refuse(100, 1)).not.toThrow();
  expect(refuse(100, 2)).toThrow(expect.objectContaining({
    code: 'memory', message: 'the training needs at least 321kB (weights, gradients and moments 320kB, activations from 800B), and cpu:wasm has 160kB here',
    hint: 'what would fit: width=50, or layers=1',
  }));
  expect(refuse(1000, 2)).toThrow(expect.objectContaining({ hint: 'what would fit: width=62' }));
  expect(() => refuseTooLarge({ parameters: 1e12, activations: 0 }, [], { backend: 'tfjs:cpu', available })).toThrow(expect.objectContaining({ hint: expect.stringContaining('more memory') }));
});

it('leaves devices with a memory of their own to themselves, and tells a dry run about this machine', () => {
  for (const backend of ['webgpu', 'tfjs:cuda']) expect(() => refuseTooLarge(needsOf(1e6, 100), [], { backend, available: 1 })).not.toThrow();
  expect(memoryHere(needsOf(10, 1), [], 1e9)).toBe('this machine has 1.00GB');
  expect(memoryHere(needsOf(100, 2), knobs(100, 2), 160_400)).toBe('this machine has 160kB, what would fit: width=50, or layers=1');
});
