// Per-instance state: every thread instantiates the module on the one memory and is told its own scratch region here.

let region: usize = 0;
let number: usize = 0;

/** Called once by the runtime, before any kernel. `index` numbers the threads from 0. */
export function initializeThread(scratch: usize, index: i32): void {
  region = scratch;
  number = <usize>index;
}

/** Which of the threads this is: of regions that a call of a kernel has for each of them it takes its own. */
@inline
export function threadIndex(): usize {
  return number;
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
