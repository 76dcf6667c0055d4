// Counts what a piece of work hands to WebGPU, whichever library does it: at the API, by the classes that all devices of this
// process share. Slower while it counts, so nothing is timed meanwhile.

export interface Launches {
  /** Kernel launches. */
  readonly dispatches: number;
  readonly submits: number;
}

type Method = (...args: never[]) => unknown;

export async function countLaunches(work: () => Promise<void>): Promise<Launches> {
  const counts = { dispatches: 0, submits: 0 };
  const restore = [
    intercept(GPUComputePassEncoder.prototype, 'dispatchWorkgroups', () => counts.dispatches++),
    intercept(GPUComputePassEncoder.prototype, 'dispatchWorkgroupsIndirect', () => counts.dispatches++),
    intercept(GPUQueue.prototype, 'submit', () => counts.submits++),
  ];
  try {
    await work();
  } finally {
    for (const undo of restore) undo();
  }
  return counts;
}

/** Calls `tell` before each call of the method; returns how to undo it. */
function intercept<T extends object>(prototype: T, name: keyof T & string, tell: () => void): () => void {
  const original = prototype[name] as Method;
  const wrapped: Method = function (this: T, ...args) {
    tell();
    return original.apply(this, args);
  };
  Object.defineProperty(prototype, name, { value: wrapped, configurable: true, writable: true });
  return () => void Object.defineProperty(prototype, name, { value: original, configurable: true, writable: true });
}
