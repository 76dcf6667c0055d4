// Weights of one router for a model with another: states begin where the weights have none, and those of another router are left out.
import { createMoeFeedForward } from '@xmoe/moe';
import type { RouterConfig } from '@xmoe/routers/by-name';
import type { StoredTensor } from '@xmoe/train';
import { expect, it } from 'vitest';
import { fitStates } from '../src/weights/fit-weights.js';

const specsOf = (router: RouterConfig) => createMoeFeedForward({ name: 'h.1.moe', width: 2, hidden: 2, experts: 4, router, initStd: 0.1 }).parameters;
const tensor = (name: string, value: number): StoredTensor => ({ name, dtype: 'float32', shape: [1], data: Float32Array.of(value) });
const controlled = specsOf({ type: 'controlled-threshold', target: 2, initialThreshold: 0.5 });
const weight = tensor('h.1.moe.router.weight', 7);
const state = ['threshold', 'error', 'updates'].map((name) => `h.1.moe.router.state.${name}`);

it('begins the states that the weights lack', () => {
  expect(fitStates([weight], controlled)).toEqual([weight, tensor(state[0]!, 0.5), tensor(state[1]!, 0), tensor(state[2]!, 0)]);
});

it('keeps those that they have, and leaves out those of another router, but nothing else', () => {
  const own = [weight, tensor(state[0]!, 0.8), tensor(state[1]!, 0.1), tensor(state[2]!, 3)];
  expect(fitStates(own, controlled)).toEqual(own);
  const stray = tensor('h.1.moe.router.stray', 1);
  expect(fitStates([...own, stray], specsOf({ type: 'topk', k: 2 }))).toEqual([weight, stray]);
});
