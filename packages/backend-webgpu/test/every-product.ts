// Every matrix product once, on a device of Dawn that compiles what it is given and computes nothing: what any tile makes of them is valid.
import type { DType, Operand } from '@xmoe/core';
import { create, globals } from 'webgpu';
import { createWebGpuBackend, type WebGpuBackend, type WebGpuBackendOptions } from '../src/index.js';

// Kept: Dawn stops when it is collected.
const nullGpu = create(['backend=null', 'enable-dawn-features=allow_unsafe_apis']);

/** It has the limits that every device has, and the given features. */
export async function nullBackend(features: readonly string[], options: WebGpuBackendOptions = {}): Promise<WebGpuBackend> {
  Object.assign(globalThis, globals);
  const adapter = await nullGpu.requestAdapter();
  const device = await adapter!.requestDevice({ requiredFeatures: features as GPUFeatureName[] });
  return createWebGpuBackend({ device, ...options });
}

/** One of the results, to be read: that raises what does not compile. */
export function runEveryProduct(backend: WebGpuBackend, half: DType = 'float16'): Operand {
  const make = (dtype: DType, ...shape: number[]) => ({ buffer: backend.allocate(dtype, shape.reduce((x, y) => x * y, 1)), shape, dtype });
  const { kernels } = backend;
  const out = make('float32', 2, 8, 12);
  kernels.matmul({ a: make(half, 2, 8, 4), b: make(half, 2, 4, 12) }, { out }, { transposeA: false, transposeB: false });
  kernels.matmul({ a: make(half, 2, 4, 8), b: make(half, 2, 12, 4) }, { out }, { transposeA: true, transposeB: true });
  kernels.matmul({ a: make(half, 2, 7, 5), b: make(half, 1, 5, 3) }, { out: make(half, 2, 7, 3) }, { transposeA: false, transposeB: false });
  const [offsets, rows, scale] = [make('int32', 3), make('int32', 9), make('float32', 9)];
  kernels.groupedLinear!(
    { x: make(half, 5, 8), rows, w: make(half, 2, 8, 12), bias: make('float32', 2, 12), offsets },
    { out: make(half, 9, 12), pre: make(half, 9, 12) }, { transposeW: false, activation: 'gelu-tanh' },
  );
  kernels.groupedLinear!(
    { x: make(half, 9, 7), rows: null, w: make(half, 2, 3, 7), bias: null, offsets },
    { out: make(half, 9, 3), pre: null }, { transposeW: true, activation: 'none' },
  );
  kernels.groupedLinearWeightGrad!(
    { x: make(half, 5, 8), xRows: rows, dy: make(half, 5, 12), dyRows: rows, scale, offsets },
    { dw: make('float32', 2, 8, 12), dbias: make('float32', 2, 12) },
  );
  kernels.groupedMatmulWeightGrad({ x: make(half, 9, 7), dy: make(half, 9, 3), offsets }, { out: make('float32', 2, 7, 3) });
  // Cut into parts.
  kernels.groupedMatmulWeightGrad({ x: make(half, 9000, 8), dy: make(half, 9000, 8), offsets }, { out: make('float32', 2, 8, 8) });
  return out;
}
