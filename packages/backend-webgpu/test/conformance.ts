// Registers the conformance of one family of primitives on this backend, or, where no adapter exists, skips it with the
// reason in its name.
import { DTYPES, type KernelName } from '@xmoe/core';
import { runConformance, type ConformanceOptions } from '@xmoe/testing';
import { describe, expect, it } from 'vitest';
import { createWebGpuBackend, type WebGpuBackendOptions } from '../src/index.js';
import { webGpuAdapter } from './adapter.js';

export interface FamilyOptions extends Omit<ConformanceOptions, 'primitives' | 'dtypes'> {
  /** Names the run apart from others of the file. */
  readonly label?: string;
  readonly backend?: WebGpuBackendOptions;
}

/** Await it at the top of a test file. */
export async function testFamily(primitives: readonly KernelName[], { label = 'webgpu', backend, ...options }: FamilyOptions = {}): Promise<void> {
  const { available, reason, float16 } = await webGpuAdapter();
  const dtypes = float16 ? DTYPES : DTYPES.filter((dtype) => dtype !== 'float16');
  describe.skipIf(!available)(`on ${reason}`, () => {
    runConformance({ describe, it, expect }, label, () => createWebGpuBackend(backend), { ...options, primitives, dtypes });
  });
}
