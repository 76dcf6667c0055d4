// Reading back: the reads of one moment share a buffer, a submit and a wait. Where in the order of commands a read stands is
// decided by its copy, which is encoded at once.
import type { Failures } from './failures.js';

/** Small downloads of one moment share a buffer of this size. */
const SHARED_BYTES = 2 ** 16;
/** Mapped ranges begin at multiples of this. */
const ALIGNMENT = 8;

interface Item {
  readonly offset: number;
  readonly bytes: number;
  readonly resolve: (data: ArrayBuffer) => void;
  readonly reject: (error: unknown) => void;
}

interface Batch {
  readonly buffer: GPUBuffer;
  readonly size: number;
  used: number;
  readonly items: Item[];
}

/** A place for one read: the caller encodes the copy, and gets the data once the batch is submitted and done. */
export interface DownloadSlot {
  readonly buffer: GPUBuffer;
  readonly offset: number;
  readonly data: Promise<ArrayBuffer>;
}

export class Downloads {
  readonly #device: GPUDevice;
  readonly #failures: Failures;
  readonly #flush: () => void;
  readonly #idle: GPUBuffer[] = [];
  #open: Batch | undefined;

  /** `flush` submits what is encoded so far. */
  constructor(device: GPUDevice, failures: Failures, flush: () => void) {
    this.#device = device;
    this.#failures = failures;
    this.#flush = flush;
  }

  reserve(bytes: number): DownloadSlot {
    const batch = this.#batchWith(bytes);
    const offset = batch.used;
    batch.used += Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
    const data = new Promise<ArrayBuffer>((resolve, reject) => batch.items.push({ offset, bytes, resolve, reject }));
    return { buffer: batch.buffer, offset, data };
  }

  #batchWith(bytes: number): Batch {
    const open = this.#open;
    if (open && open.size - open.used >= bytes) return open;
    const size = Math.max(Math.ceil(bytes / ALIGNMENT) * ALIGNMENT, SHARED_BYTES);
    const reused = size === SHARED_BYTES ? this.#idle.pop() : undefined;
    const buffer = reused ?? this.#device.createBuffer({ label: 'downloads', size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
    const batch: Batch = { buffer, size, used: 0, items: [] };
    this.#open = batch;
    queueMicrotask(() => {
      if (this.#open === batch) this.#open = undefined;
      this.#flush();
      void this.#deliver(batch);
    });
    return batch;
  }

  async #deliver({ buffer, size, used, items }: Batch): Promise<void> {
    try {
      await buffer.mapAsync(GPUMapMode.READ, 0, used);
      await this.#failures.settle();
      const mapped = buffer.getMappedRange(0, used);
      for (const { offset, bytes, resolve } of items) resolve(mapped.slice(offset, offset + bytes));
      buffer.unmap();
      if (size === SHARED_BYTES) this.#idle.push(buffer);
      else buffer.destroy();
    } catch (error) {
      const cause = await this.#failures.causeOf(error);
      for (const { reject } of items) reject(cause);
    }
  }
}
