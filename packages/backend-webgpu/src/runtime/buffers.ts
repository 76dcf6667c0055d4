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

/** The block of an operand on `device`. Error `backend` for a foreign buffer, `disposed` for a freed one. */
export function blockOf({ buffer }: Operand, device: GPUDevice): DeviceBlock {
  if (!(buffer instanceof WebGpuBuffer) || buffer.pool.device !== device) {
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

/** Blocks are multiples of this, so that windows of them may end on a vec4. */
const GRAIN = 256;

/** Bytes of the largest block where the device's largest buffer is of `bufferBytes`: indices of elements have 32 bits. */
export function largestBuffer(bufferBytes: number): number {
  return Math.floor(Math.min(bufferBytes, 2 ** 32 - 4) / GRAIN) * GRAIN;
}

/** The size class of a request: at most an eighth more than asked for, at least 256 bytes, at most the largest block. */
export function sizeClass(bytes: number, largest: number): number {
  if (bytes <= GRAIN) return GRAIN;
  const step = Math.max(GRAIN, 2 ** (Math.floor(Math.log2(bytes)) - 3));
  // The largest is not always a power of two. What is larger still is the device's to refuse.
  return Math.max(Math.min(Math.ceil(bytes / step) * step, largest), Math.ceil(bytes / GRAIN) * GRAIN);
}

export interface BlockPoolOptions {
  /** Bytes of the largest block. */
  readonly largest: number;
  /** How many bytes idle blocks may hold, given the most that was ever live at once. */
  mostIdle(peakLive: number): number;
  /** Told when a block is made: whether the device had room for it is known later. */
  made(bytes: number, error: Promise<GPUError | null>): void;
  /** Told before a block is destroyed: commands that use it must have been submitted, bind groups on it forgotten. */
  destroyed(block: DeviceBlock): void;
}

export class BlockPool {
  readonly device: GPUDevice;
  readonly #options: BlockPoolOptions;
  /** In order of last use: the first class is the one to drop. */
  readonly #idle = new Map<number, DeviceBlock[]>();
  readonly #all = new Set<DeviceBlock>();
  #live = 0;
  #peakLive = 0;
  #idleBytes = 0;

  constructor(device: GPUDevice, options: BlockPoolOptions) {
    this.device = device;
    this.#options = options;
  }

  take(requested: number): DeviceBlock {
    const bytes = sizeClass(requested, this.#options.largest);
    const blocks = this.#idle.get(bytes);
    const reused = blocks?.pop();
    if (blocks?.length === 0) this.#idle.delete(bytes);
    if (reused) this.#idleBytes -= bytes;
    this.#live += bytes;
    this.#peakLive = Math.max(this.#peakLive, this.#live);
    if (reused) return reused;
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
    this.device.pushErrorScope('out-of-memory');
    const made = new DeviceBlock(this.device.createBuffer({ size: bytes, usage }), bytes);
    this.#options.made(bytes, this.device.popErrorScope());
    this.#all.add(made);
    return made;
  }

  give(block: DeviceBlock): void {
    // Closed before its tensors were disposed.
    if (!this.#all.has(block)) return;
    this.#live -= block.bytes;
    this.#idleBytes += block.bytes;
    const blocks = this.#idle.get(block.bytes) ?? [];
    blocks.push(block);
    this.#idle.delete(block.bytes);
    this.#idle.set(block.bytes, blocks);
    const limit = this.#options.mostIdle(this.#peakLive);
    if (this.#idleBytes > limit) this.#shrink(limit);
  }

  /** Live and idle together. */
  get bytes(): number {
    return this.#live + this.#idleBytes;
  }

  /** Destroys the idle blocks. */
  clear(): void {
    this.#shrink(0);
  }

  /** Destroys all blocks, live ones too. */
  close(): void {
    this.#idle.clear();
    this.#idleBytes = 0;
    this.#live = 0;
    for (const block of this.#all) this.#destroy(block);
  }

  /** Destroys idle blocks, those idle for longest first, until at most `limit` bytes are left. */
  #shrink(limit: number): void {
    for (const [bytes, blocks] of this.#idle) {
      if (this.#idleBytes <= limit) return;
      this.#idle.delete(bytes);
      this.#idleBytes -= bytes * blocks.length;
      for (const block of blocks) this.#destroy(block);
    }
  }

  #destroy(block: DeviceBlock): void {
    this.#all.delete(block);
    this.#options.destroyed(block);
    block.gpu.destroy();
  }
}
