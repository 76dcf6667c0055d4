// Where the compiled kernels lie: wasm/ beside both src/ and dist/. The literals are for bundlers, which look for this form.
export type WasmVariant = 'revectorized' | 'relaxed' | 'simd';

export const WASM_FILES: Record<WasmVariant, URL> = {
  revectorized: new URL('../wasm/revectorized.wasm', import.meta.url),
  relaxed: new URL('../wasm/relaxed.wasm', import.meta.url),
  simd: new URL('../wasm/simd.wasm', import.meta.url),
};
