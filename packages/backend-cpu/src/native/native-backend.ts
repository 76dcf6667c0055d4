// createNativeBackend: the compiled engine, whose matrix products a library of the machine computes on the engine's own memory. Node only.
import type { Backend } from '@xmoe/core';
import { openEngine, threadsOf, type WasmBackendOptions } from '../wasm-backend.js';
import { findLibrary } from './find-library.js';

export interface NativeBackendOptions extends WasmBackendOptions {
  /**
   * File of the library. Default: what `XMOE_BLAS` names, else Accelerate on macOS, MKL, BLIS, OpenBLAS of the system, or the OpenBLAS inside
   * an installed numpy, scipy or scipy-openblas32. `XMOE_BLAS=none` turns all of it off.
   */
  library?: string;
}

/**
 * As {@link createWasmBackend}, with products by a library that is checked when it is loaded: every thread of the engine calls it with one
 * thread of its own, on pieces that depend on shapes alone where they could show, so that results are the same bits for any number of threads. They are not those of
 * `cpu:wasm`, nor of another library or another processor.
 * Error `backend` where there is no such library, with what was tried; as createWasmBackend otherwise.
 */
export async function createNativeBackend({ library, ...options }: NativeBackendOptions = {}): Promise<Backend> {
  const threads = await threadsOf(options);
  return openEngine({ ...options, threads }, findLibrary({ threads, library }));
}
