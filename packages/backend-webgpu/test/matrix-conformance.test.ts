// Products by subgroup matrices: all of the kernel but the matrix instructions themselves, which are emulated.
import { runConformance } from '@xmoe/testing';
import { describe, expect, it } from 'vitest';
import { createWebGpuBackend } from '../src/index.js';
import { webGpuAdapter } from './adapter.js';
import { EMULATED_TILE } from './emulated-matrices.js';

const RICHEST = /ᵀ.*in float16 to|pre, gelu-tanh|W transposed, none|scaled/;

const { available, reason, float16 } = await webGpuAdapter();

describe.skipIf(!available || !float16)(`on ${reason}`, () => {
  runConformance({ describe, it, expect }, 'emulated subgroup matrices', async () => {
    const backend = await createWebGpuBackend();
    backend.tilings.forced = EMULATED_TILE;
    return backend;
  }, {
    primitives: ['matmul', 'groupedLinear', 'groupedLinearWeightGrad'],
    variants: 'native',
    // A program takes seconds to compile here: of every kind the richest.
    skip: ({ label, dtype, operands: { a, x } }) => ((a ?? x)!.dtype !== 'float16' || (a && dtype === 'float16') ? 'matrices make float32 of float16' : RICHEST.test(label) ? undefined : 'like another'),
  });
});
