// Compiles a variant of the kernels: the one that is asked for, or the first of the candidates whose bytes validate.
import { XMoEError } from '@xmoe/core';
import { WASM_FILES, type WasmVariant } from '../wasm-files.js';
import { enableRelaxedSimd, readBinary } from './platform.js';
import { compileForJoining } from './revectorize.js';
import { webAssembly, type WasmModule } from './webassembly.js';

export interface LoadedVariant {
  readonly variant: WasmVariant;
  readonly module: WasmModule;
}

/** Fastest first, of those that need no probe. */
const CANDIDATES: readonly WasmVariant[] = ['relaxed', 'simd'];

/** Compiles the first variant that runs here. Error `backend` when none does. */
export async function loadVariant(wanted: 'auto' | WasmVariant): Promise<LoadedVariant> {
  if (webAssembly === undefined) throw unsupported('there is no WebAssembly here');
  for (const variant of wanted === 'auto' ? CANDIDATES : [wanted]) {
    const bytes = await readVariant(variant);
    if (variant !== 'simd' && !webAssembly.validate(bytes)) await enableRelaxedSimd();
    if (webAssembly.validate(bytes)) return { variant, module: await (variant === 'revectorized' ? compileForJoining(bytes) : webAssembly.compile(bytes)) };
  }
  throw unsupported(`WebAssembly here lacks ${wanted === 'auto' || wanted === 'simd' ? 'SIMD or threads' : 'relaxed SIMD'}`);
}

async function readVariant(variant: WasmVariant): Promise<Uint8Array> {
  try {
    return await readBinary(WASM_FILES[variant]);
  } catch (cause) {
    throw new XMoEError('backend', `the compiled kernels are missing: ${WASM_FILES[variant].href}`, {
      op: 'cpu:wasm',
      hint: 'in a checkout run `pnpm --filter @xmoe/backend-cpu build`; in an app serve or copy the package\'s wasm folder',
      cause,
    });
  }
}

function unsupported(message: string): XMoEError {
  return new XMoEError('backend', message, { op: 'cpu:wasm', hint: 'use createCpuBackend, which is plain TypeScript' });
}
