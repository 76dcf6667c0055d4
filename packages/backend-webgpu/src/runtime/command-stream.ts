// The order of everything the device does: kernels gather in one compute pass of one command buffer, submitted when a result is
// read or the batch is long. Uploads and downloads keep their place in that order.
import type { DeviceBlock } from './buffers.js';
import type { Failures } from './failures.js';
import type { Profiler } from './profiler.js';

/** One kernel launch, ready to be encoded, now or again. */
export interface Command {
  readonly name: string;
  readonly pipeline: GPUComputePipeline;
  readonly bindings: GPUBindGroup;
  readonly args: GPUBindGroup | null;
  readonly groups: readonly [number, number, number];
  readonly blocks: readonly DeviceBlock[];
}

/** A long batch is submitted so that the device does not wait for the host. */
const LONGEST_BATCH = 8192;
/** Uploads into buffers that the open batch uses are staged here, without breaking the batch. */
const UPLOAD_BYTES = 2 ** 18;
/** Small downloads of one moment share a buffer of this size. */
const DOWNLOAD_BYTES = 2 ** 16;

export interface StreamStatistics {
  dispatches: number;
  submits: number;
}

export interface CommandStream {
  dispatch(command: Command): void;
  /** Replaces the first bytes of a block. `data` is a multiple of 4 bytes. */
  upload(block: DeviceBlock, data: ArrayBufferView): void;
  /** The first `bytes` (a multiple of 4) of a block as they are at this point of the stream. */
  download(block: DeviceBlock, bytes: number): Promise<ArrayBuffer>;
  flush(): void;
  /** Counted since the start. */
  readonly statistics: Readonly<StreamStatistics>;
}

interface Download {
  readonly offset: number;
  readonly bytes: number;
  readonly resolve: (data: ArrayBuffer) => void;
  readonly reject: (error: unknown) => void;
}

interface DownloadBatch {
  readonly buffer: GPUBuffer;
  readonly size: number;
  used: number;
  readonly items: Download[];
}

export function createCommandStream(device: GPUDevice, failures: Failures, profiler: Profiler): CommandStream {
  const { queue } = device;
  const statistics: StreamStatistics = { dispatches: 0, submits: 0 };
  let encoder: GPUCommandEncoder | undefined;
  let pass: GPUComputePassEncoder | undefined;
  let batch = 0;
  let length = 0;
  let lastPipeline: GPUComputePipeline | undefined;
  let staging: GPUBuffer | undefined;
  let staged = 0;
  let downloads: DownloadBatch | undefined;
  const idleDownloads: GPUBuffer[] = [];

  const openEncoder = (): GPUCommandEncoder => (encoder ??= device.createCommandEncoder());

  function endPass(): void {
    pass?.end();
    pass = undefined;
    lastPipeline = undefined;
  }

  function flush(): void {
    if (!encoder) return;
    endPass();
    const resolved = profiler.resolve(encoder);
    queue.submit([encoder.finish()]);
    resolved?.();
    encoder = undefined;
    statistics.submits++;
    batch++;
    length = 0;
    staged = 0;
  }

  function encode(into: GPUComputePassEncoder, { pipeline, bindings, args, groups }: Command): void {
    if (pipeline !== lastPipeline) into.setPipeline(pipeline);
    lastPipeline = pipeline;
    into.setBindGroup(0, bindings);
    if (args) into.setBindGroup(1, args);
    into.dispatchWorkgroups(groups[0], groups[1], groups[2]);
  }

  function dispatch(command: Command): void {
    for (const block of command.blocks) block.usedInBatch = batch;
    const commands = openEncoder();
    if (profiler.running) {
      endPass();
      pass = commands.beginComputePass(profiler.time(command.name));
      encode(pass, command);
      endPass();
      if (profiler.full) flush();
    } else {
      encode((pass ??= commands.beginComputePass()), command);
    }
    statistics.dispatches++;
    if (++length >= LONGEST_BATCH) flush();
  }

  function upload(block: DeviceBlock, data: ArrayBufferView): void {
    const bytes = data.byteLength;
    if (encoder && block.usedInBatch === batch) {
      if (bytes <= UPLOAD_BYTES - staged) {
        staging ??= device.createBuffer({ label: 'uploads', size: UPLOAD_BYTES, usage: GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST });
        queue.writeBuffer(staging, staged, data.buffer, data.byteOffset, bytes);
        endPass();
        encoder.copyBufferToBuffer(staging, staged, block.gpu, 0, bytes);
        staged += Math.ceil(bytes / 4) * 4;
        return;
      }
      flush();
    }
    queue.writeBuffer(block.gpu, 0, data.buffer, data.byteOffset, bytes);
  }

  function openDownloads(bytes: number): DownloadBatch {
    if (downloads && downloads.size - downloads.used >= bytes) return downloads;
    const size = Math.max(Math.ceil(bytes / 8) * 8, DOWNLOAD_BYTES); // mapped ranges begin at multiples of 8
    const reused = size === DOWNLOAD_BYTES ? idleDownloads.pop() : undefined;
    const buffer = reused ?? device.createBuffer({ label: 'downloads', size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
    const opened: DownloadBatch = { buffer, size, used: 0, items: [] };
    downloads = opened;
    // Reads of one moment travel together.
    queueMicrotask(() => {
      if (downloads === opened) downloads = undefined;
      flush();
      void deliver(opened);
    });
    return opened;
  }

  async function deliver({ buffer, size, used, items }: DownloadBatch): Promise<void> {
    try {
      await buffer.mapAsync(GPUMapMode.READ, 0, used);
      await failures.settle();
      const mapped = buffer.getMappedRange(0, used);
      for (const { offset, bytes, resolve } of items) resolve(mapped.slice(offset, offset + bytes));
      buffer.unmap();
      if (size === DOWNLOAD_BYTES) idleDownloads.push(buffer);
      else buffer.destroy();
    } catch (error) {
      const cause = await failures.settle().then(() => error, (failure: unknown) => failure);
      for (const { reject } of items) reject(cause);
    }
  }

  return {
    dispatch,
    upload,
    download(block, bytes) {
      const target = openDownloads(bytes);
      endPass();
      openEncoder().copyBufferToBuffer(block.gpu, 0, target.buffer, target.used, bytes);
      block.usedInBatch = batch;
      const offset = target.used;
      target.used += Math.ceil(bytes / 8) * 8;
      return new Promise((resolve, reject) => target.items.push({ offset, bytes, resolve, reject }));
    },
    flush,
    statistics,
  };
}
