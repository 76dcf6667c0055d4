// Keeps freed arrays for the next allocation of the same kind and length, so that a training loop makes no garbage.
// Not a general allocator: lengths are exact, because kernels take whole arrays.
import { bytesPerElement, type DType } from '@xmoe/core/backend';
import type { NumericArray } from '@xmoe/kernels-host';
import { createStorage, type Precision } from './storage.js';

/** Idle arrays may always use this much; beyond it, as much as was ever live at once. */
const IDLE_FLOOR_BYTES = 64 * 2 ** 20;

export interface BufferPool {
  take(dtype: DType, length: number): NumericArray;
  give(dtype: DType, data: NumericArray): void;
  /** Bytes live and idle together. */
  bytes(): number;
  clear(): void;
}

export function createBufferPool(precision: Precision): BufferPool {
  // In order of last use: the first class is the one to drop.
  const idle = new Map<string, NumericArray[]>();
  let liveBytes = 0;
  let peakLiveBytes = 0;
  let idleBytes = 0;

  function dropOldest(): void {
    const limit = Math.max(IDLE_FLOOR_BYTES, peakLiveBytes);
    for (const [name, arrays] of idle) {
      if (idleBytes <= limit) return;
      for (const array of arrays) idleBytes -= array.byteLength;
      idle.delete(name);
    }
  }

  return {
    take(dtype, length) {
      const name = className(dtype, length);
      const arrays = idle.get(name);
      const reused = arrays?.pop();
      if (arrays?.length === 0) idle.delete(name); // many lengths may come and go
      if (reused !== undefined) idleBytes -= reused.byteLength;
      const data = reused ?? createStorage(dtype, length, precision);
      liveBytes += data.byteLength;
      peakLiveBytes = Math.max(peakLiveBytes, liveBytes);
      return data;
    },
    give(dtype, data) {
      liveBytes -= data.byteLength;
      idleBytes += data.byteLength;
      const name = className(dtype, data.length);
      const arrays = idle.get(name) ?? [];
      arrays.push(data);
      idle.delete(name);
      idle.set(name, arrays);
      if (idleBytes > IDLE_FLOOR_BYTES) dropOldest();
    },
    bytes: () => liveBytes + idleBytes,
    clear() {
      idle.clear();
      idleBytes = 0;
      liveBytes = 0;
    },
  };
}

function className(dtype: DType, length: number): string {
  // int32 and uint32 differ in class although they have one size.
  return `${dtype}:${bytesPerElement(dtype) * length}`;
}
