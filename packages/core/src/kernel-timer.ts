// Time per kernel on backends that compute while they are called. Devices that compute later measure by themselves: see
// `profiler` of the contract.
import type { AnyKernel, Backend, Kernels, KernelTime } from './contract.js';

export interface KernelTimer {
  readonly kernels: Kernels;
  readonly profiler: NonNullable<Backend['profiler']>;
}

/** `kernels`, timed by the host's clock. A fallback counts as itself, not as the kernels that it calls. */
export function timeKernels(kernels: Kernels): KernelTimer {
  const times = new Map<string, { calls: number; milliseconds: number }>();
  let running = false;
  const timed = (name: string, kernel: AnyKernel): AnyKernel => (inputs, outputs, attributes) => {
    if (!running) return kernel(inputs, outputs, attributes);
    const started = performance.now();
    kernel(inputs, outputs, attributes);
    const entry = times.get(name) ?? { calls: 0, milliseconds: 0 };
    entry.calls++;
    entry.milliseconds += performance.now() - started;
    times.set(name, entry);
  };
  return {
    kernels: Object.fromEntries(Object.entries(kernels).map(([name, kernel]) => [name, timed(name, kernel as AnyKernel)])) as unknown as Kernels,
    profiler: {
      start() {
        times.clear();
        running = true;
      },
      async stop() {
        running = false;
        return byTime([...times].map(([name, time]) => ({ name, ...time })));
      },
    },
  };
}

/** Longest first. */
export function byTime(times: readonly KernelTime[]): KernelTime[] {
  return [...times].sort((a, b) => b.milliseconds - a.milliseconds);
}
