// Buffers of the backend and the pool that keeps freed ones: creating a GPUBuffer costs more than a small kernel. Contents
// are the command stream's matter.
import { XMoEError, type BackendBuffer, type DType, type Operand } from '@xmoe/core';

/** Bytes per element on the device: WGSL has no 8-bit storage, so a bool is a u32. */
export const DEVICE_BYTES: Record<DType, number> = { float32: 4, float16: 2, int32: 4, uint32: 4, bool: 4 };

let nextId = 1;

/** A GPUBuffer with an identity that bind groups are found by. */
export class DeviceBlock {
  readonly id = nextId++;
  readonly gpu: GPUBuffer;
  readonly bytes: number;
  /** The batch of commands that last used it. */
  usedInBatch = -1;

  constructor(gpu: GPUBuffer, bytes: number) {
    this.gpu = gpu;
    this.bytes = bytes;
  }
}

/** What a tensor of this backend holds. */
export class WebGpuBuffer implements BackendBuffer {
  declare readonly __backendBuffer?: never;
  /** Undefined once freed, so that a stale handle fails loudly. */
  block: DeviceBlock | undefined;
  readonly length: number;
  readonly dtype: DType;
  /** The pool that it goes back to. */
  readonly pool: BlockPool;

  constructor(block: DeviceBlock, length: number, dtype: DType, pool: BlockPool) {
    this.block = block;
    this.length = length;
    this.dtype = dtype;
    this.pool = pool;
  }
}

/** The block of an operand. Error `backend` for a foreign buffer, `disposed` for a freed one. */
export function blockOf({ buffer }: Operand): DeviceBlock {
  if (!(buffer instanceof WebGpuBuffer)) {
    throw new XMoEError('backend', 'an operand belongs to another backend', {
      op: 'webgpu',
      hint: 'read the tensor there and make it again with the engine of this backend',
    });
  }
  if (buffer.block === undefined) {
    throw new XMoEError('disposed', 'an operand was used after its buffer was freed', { op: 'webgpu', hint: 'keep the tensor alive until its last use' });
  }
  return buffer.block;
}

/** Idle blocks may always use this much; beyond it, as much as was ever live at once. */
const IDLE_FLOOR_BYTES = 64 * 2 ** 20;

export interface BlockPool {
  take(bytes: number): DeviceBlock;
  give(block: DeviceBlock): void;
  /** Bytes live and idle together. */
  bytes(): number;
  /** Destroys the idle blocks. */
  clear(): void;
}

/** The size class of a request: at most an eighth more than asked for, at least 256 bytes. */
export function sizeClass(bytes: number): number {
  if (bytes <= 256) return 256;
  const step = Math.max(256, 2 ** (Math.floor(Math.log2(bytes)) - 3));
  return Math.ceil(bytes / step) * step;
}

/**
 * `evict`: whether idle blocks are destroyed when there are many. `destroyed` is told of every destroyed block, before
 * it is: commands that use it must have been submitted, bind groups on it forgotten.
 */
export function createBlockPool(device: GPUDevice, { evict, destroyed }: { evict: boolean; destroyed(block: DeviceBlock): void }): BlockPool {
  // In order of last use: the first class is the one to drop.
  const idle = new Map<number, DeviceBlock[]>();
  let live = 0;
  let peakLive = 0;
  let idleBytes = 0;

  function destroy(blocks: readonly DeviceBlock[]): void {
    for (const block of blocks) {
      idleBytes -= block.bytes;
      destroyed(block);
      block.gpu.destroy();
    }
  }

  function dropOldest(): void {
    const limit = Math.max(IDLE_FLOOR_BYTES, peakLive);
    for (const [bytes, blocks] of idle) {
      if (idleBytes <= limit) return;
      idle.delete(bytes);
      destroy(blocks);
    }
  }

  return {
    take(requested) {
      const bytes = sizeClass(requested);
      const blocks = idle.get(bytes);
      const reused = blocks?.pop();
      if (blocks?.length === 0) idle.delete(bytes);
      if (reused) idleBytes -= bytes;
      live += bytes;
      peakLive = Math.max(peakLive, live);
      if (reused) return reused;
      const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
      return new DeviceBlock(device.createBuffer({ size: bytes, usage }), bytes);
    },
    give(block) {
      live -= block.bytes;
      idleBytes += block.bytes;
      const blocks = idle.get(block.bytes) ?? [];
      blocks.push(block);
      idle.delete(block.bytes);
      idle.set(block.bytes, blocks);
      if (evict && idleBytes > IDLE_FLOOR_BYTES) dropOldest();
    },
    bytes: () => live + idleBytes,
    clear() {
      for (const blocks of idle.values()) destroy(blocks);
      idle.clear();
    },
  };
}
