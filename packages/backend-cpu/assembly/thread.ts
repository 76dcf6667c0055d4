// Per-instance state: every thread instantiates the module on the one memory and is told its own scratch region here.

let region: usize = 0;

/** Called once by the runtime, before any kernel. */
export function initializeThread(scratch: usize): void {
  region = scratch;
}

/** Where the runtime may place tensors: above the compiler's constants. */
export function heapBase(): usize {
  return __heap_base;
}

/** The calling thread's own region of THREAD_SCRATCH_BYTES (src/engine/layout.ts), 64-byte aligned; contents do not last. */
@inline
export function threadScratch(): usize {
  return region;
}
