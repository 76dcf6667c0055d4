// The order of everything the device does: kernels gather in one compute pass of one command buffer, submitted when a result is
// read or the batch is work enough. Uploads and downloads keep their place in that order.
import type { DeviceBlock } from './buffers.js';
import { Downloads } from './downloads.js';
import type { Failures } from './failures.js';
import type { Profiler } from './profiler.js';

/** One kernel launch, ready to be encoded, now or again. */
export interface Command {
  readonly name: string;
  readonly pipeline: GPUComputePipeline;
  readonly bindings: GPUBindGroup;
  readonly args: GPUBindGroup | null;
  readonly groups: readonly [number, number, number];
  /** An estimate; 0 where a launch is bound by memory. */
  readonly flops: number;
  readonly blocks: readonly DeviceBlock[];
}

/**
 * A batch of so many launches, or of so much arithmetic, is submitted: the device begins while the host encodes the next, and no
 * command buffer runs for so long that a watchdog of the operating system takes the device away (100 GFLOP are 100 ms at 1 TFLOP/s). A
 * submit takes the host 40 to 70 µs with NVIDIA's driver, as long as fifteen launches.
 */
const LONGEST_BATCH = { launches: 64, flops: 100e9 };
/** Uploads into buffers that the open batch uses are staged here, without breaking the batch. */
const UPLOAD_BYTES = 2 ** 18;

export interface StreamStatistics {
  dispatches: number;
  submits: number;
}

export class CommandStream {
  /** Counted since the start. */
  readonly statistics: StreamStatistics = { dispatches: 0, submits: 0 };
  readonly #device: GPUDevice;
  readonly #profiler: Profiler;
  readonly #downloads: Downloads;
  #encoder: GPUCommandEncoder | undefined;
  #pass: GPUComputePassEncoder | undefined;
  #pipeline: GPUComputePipeline | undefined;
  /** Number of the open batch, and the launches in it. */
  #batch = 0;
  #length = 0;
  #flops = 0;
  #staging: GPUBuffer | undefined;
  #staged = 0;

  constructor(device: GPUDevice, failures: Failures, profiler: Profiler) {
    this.#device = device;
    this.#profiler = profiler;
    this.#downloads = new Downloads(device, failures, () => this.flush());
  }

  dispatch(command: Command): void {
    if (this.#length > 0 && this.#flops + command.flops > LONGEST_BATCH.flops) this.flush();
    for (const block of command.blocks) block.usedInBatch = this.#batch;
    const commands = this.#commands();
    const profiler = this.#profiler;
    if (profiler.running) {
      this.#endPass();
      this.#pass = commands.beginComputePass(profiler.time(command.name));
      this.#encode(this.#pass, command);
      this.#endPass();
    } else {
      this.#encode((this.#pass ??= commands.beginComputePass()), command);
    }
    this.statistics.dispatches++;
    this.#flops += command.flops;
    if (++this.#length >= LONGEST_BATCH.launches || this.#flops >= LONGEST_BATCH.flops || profiler.full) this.flush();
  }

  /** Replaces the first bytes of a block. `data` is a multiple of 4 bytes. */
  upload(block: DeviceBlock, data: ArrayBufferView): void {
    const bytes = data.byteLength;
    const { queue } = this.#device;
    if (this.#encoder && block.usedInBatch === this.#batch) {
      if (bytes <= UPLOAD_BYTES - this.#staged) {
        const usage = GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
        this.#staging ??= this.#device.createBuffer({ label: 'uploads', size: UPLOAD_BYTES, usage });
        queue.writeBuffer(this.#staging, this.#staged, data.buffer, data.byteOffset, bytes);
        this.#endPass();
        this.#encoder.copyBufferToBuffer(this.#staging, this.#staged, block.gpu, 0, bytes);
        this.#staged += bytes;
        return;
      }
      this.flush();
    }
    queue.writeBuffer(block.gpu, 0, data.buffer, data.byteOffset, bytes);
  }

  /** The first `bytes` (a multiple of 4) of a block as they are at this point of the stream. */
  download(block: DeviceBlock, bytes: number): Promise<ArrayBuffer> {
    const { buffer, offset, data } = this.#downloads.reserve(bytes);
    this.#endPass();
    this.#commands().copyBufferToBuffer(block.gpu, 0, buffer, offset, bytes);
    block.usedInBatch = this.#batch;
    return data;
  }

  flush(): void {
    if (!this.#encoder) return;
    this.#endPass();
    const afterSubmit = this.#profiler.resolve(this.#encoder);
    this.#device.queue.submit([this.#encoder.finish()]);
    afterSubmit?.();
    this.#encoder = undefined;
    this.statistics.submits++;
    this.#batch++;
    this.#length = 0;
    this.#flops = 0;
    this.#staged = 0;
  }

  #commands(): GPUCommandEncoder {
    return (this.#encoder ??= this.#device.createCommandEncoder());
  }

  #endPass(): void {
    this.#pass?.end();
    this.#pass = undefined;
    this.#pipeline = undefined;
  }

  #encode(pass: GPUComputePassEncoder, { pipeline, bindings, args, groups }: Command): void {
    if (pipeline !== this.#pipeline) pass.setPipeline(pipeline);
    this.#pipeline = pipeline;
    pass.setBindGroup(0, bindings);
    if (args) pass.setBindGroup(1, args);
    pass.dispatchWorkgroups(groups[0], groups[1], groups[2]);
  }
}
