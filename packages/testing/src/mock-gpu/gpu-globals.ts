// The constants and the one class of WebGPU that code for it names, where the process has no WebGPU. Values are those of the
// specification.
const CONSTANTS = {
  GPUBufferUsage: {
    MAP_READ: 1, MAP_WRITE: 2, COPY_SRC: 4, COPY_DST: 8, INDEX: 16, VERTEX: 32, UNIFORM: 64, STORAGE: 128, INDIRECT: 256, QUERY_RESOLVE: 512,
  },
  GPUShaderStage: { VERTEX: 1, FRAGMENT: 2, COMPUTE: 4 },
  GPUMapMode: { READ: 1, WRITE: 2 },
} as const;

class OutOfMemoryError {
  readonly message: string;

  constructor(message: string) {
    this.message = message;
  }
}

/** Defines what is missing. */
export function defineGpuGlobals(): void {
  for (const [name, value] of Object.entries({ ...CONSTANTS, GPUOutOfMemoryError: OutOfMemoryError })) {
    if (!(name in globalThis)) Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  }
}
