// The part of the WebAssembly interface that the engine uses, typed: the compiler's libraries here have neither DOM nor
// WebAssembly, because this package runs in Node and in browsers.

export interface WasmMemory {
  readonly buffer: SharedArrayBuffer;
  grow(pages: number): number;
}

/** Compiled code, opaque. */
export interface WasmModule {
  readonly __wasmModule?: never;
}

export type WasmFunction = (...values: number[]) => number;

interface WebAssemblyNamespace {
  validate(bytes: Uint8Array): boolean;
  compile(bytes: Uint8Array): Promise<WasmModule>;
  instantiate(module: WasmModule, imports: object): Promise<{ exports: Record<string, WasmFunction> }>;
  Memory: new (descriptor: { initial: number; maximum: number; shared: true }) => WasmMemory;
  Module: {
    new (bytes: Uint8Array): WasmModule;
    exports(module: WasmModule): { name: string; kind: string }[];
  };
}

/** Undefined where the platform has no WebAssembly. */
export const webAssembly = (globalThis as { WebAssembly?: WebAssemblyNamespace }).WebAssembly;
