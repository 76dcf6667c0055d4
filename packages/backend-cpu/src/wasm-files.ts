// Where the compiled kernels lie: wasm/ beside both src/ and dist/. The literals are for bundlers, which look for this form.
export type WasmVariant = 'relaxed' | 'simd';

export const WASM_FILES: Record<WasmVariant, URL> = {
  relaxed: new URL('../wasm/relaxed.wasm', import.meta.url),
  simd: new URL('../wasm/simd.wasm', import.meta.url),
};
