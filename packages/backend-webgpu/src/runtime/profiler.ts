// Time per kernel from timestamps of the device. While it runs every kernel has a pass of its own, so the whole is slower than
// without; the shares are right.
import { type KernelTime } from '@xmoe/core';
import { byTime } from '@xmoe/core/backend';

/** Two timestamps per pass; 4,096 is the largest query set. */
const PASSES = 2048;

export interface Profiler {
  readonly running: boolean;
  /** The query set is full: resolve it before the next pass. */
  readonly full: boolean;
  start(): void;
  /** The descriptor of a pass that holds one kernel. */
  time(name: string): GPUComputePassDescriptor;
  /** Encodes the read-out of this batch; what it returns is to be called after the submit. */
  resolve(encoder: GPUCommandEncoder): (() => void) | undefined;
  /** Ends and gives the sums by name, longest first. The batch must have been submitted. */
  stop(): Promise<KernelTime[]>;
}

export function createProfiler(device: GPUDevice): Profiler {
  const times = new Map<string, { calls: number; milliseconds: number }>();
  const pending = new Set<Promise<void>>();
  let queries: GPUQuerySet | undefined;
  let names: string[] = [];
  let running = false;

  async function collect(buffer: GPUBuffer, labels: readonly string[]): Promise<void> {
    await buffer.mapAsync(GPUMapMode.READ);
    const stamps = new BigUint64Array(buffer.getMappedRange());
    labels.forEach((name, index) => {
      const entry = times.get(name) ?? { calls: 0, milliseconds: 0 };
      entry.calls++;
      entry.milliseconds += Math.max(0, Number(stamps[2 * index + 1]! - stamps[2 * index]!) / 1e6);
      times.set(name, entry);
    });
    buffer.destroy();
  }

  return {
    get running() {
      return running;
    },
    get full() {
      return names.length >= PASSES;
    },
    start() {
      queries ??= device.createQuerySet({ type: 'timestamp', count: 2 * PASSES });
      times.clear();
      running = true;
    },
    time(name) {
      const index = names.push(name) - 1;
      return { label: name, timestampWrites: { querySet: queries!, beginningOfPassWriteIndex: 2 * index, endOfPassWriteIndex: 2 * index + 1 } };
    },
    resolve(encoder) {
      if (names.length === 0) return undefined;
      const labels = names;
      names = [];
      const bytes = labels.length * 16;
      const resolved = device.createBuffer({ size: bytes, usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC });
      const readable = device.createBuffer({ size: bytes, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
      encoder.resolveQuerySet(queries!, 0, labels.length * 2, resolved, 0);
      encoder.copyBufferToBuffer(resolved, 0, readable, 0, bytes);
      return () => {
        resolved.destroy();
        const collected = collect(readable, labels);
        pending.add(collected);
        void collected.finally(() => pending.delete(collected)).catch(() => undefined);
      };
    },
    async stop() {
      running = false;
      await Promise.all(pending);
      return byTime([...times].map(([name, time]) => ({ name, ...time })));
    },
  };
}
