// The fixed addresses of the shared memory below the compiler's constants. scripts/build-wasm.mjs keeps MEMORY_BASE free.

/** The first byte that the compiler uses. */
export const MEMORY_BASE = 1024;
/** Words that threads contend for lie on cache lines of their own. As indices of an Int32Array. */
export const TICKET = 64 / 4;
export const DONE = 128 / 4;
/** What the job is; written only while no ticket is open. */
export const KERNEL = 192 / 4;
export const TOTAL = KERNEL + 1;
export const CHUNK = KERNEL + 2;
export const ARGUMENT_COUNT = KERNEL + 3;
/** Length of the text at FAILURE_TEXT, or 0. */
export const FAILURE = KERNEL + 4;
/** Arguments of the job as doubles: they hold pointers, sizes and float32 exactly. */
export const ARGUMENTS_BYTE = 256;
export const MAXIMUM_ARGUMENTS = 40;
/** UTF-16 of the message of a kernel that failed in a worker. */
export const FAILURE_TEXT_BYTE = 576;
export const FAILURE_TEXT_LENGTH = 224;

/** Each thread's own region, see assembly/thread.ts. */
export const THREAD_SCRATCH_BYTES = 2 ** 20;

export const PAGE_BYTES = 65536;
