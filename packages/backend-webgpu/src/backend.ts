// createWebGpuBackend: puts device, runtime and kernels together behind the contract.
import {
  decodeFloat16, encodeFloat16, formatShape, sizeOf, XMoEError,
  type Backend, type DType, type Kernels, type Operand, type TensorData,
} from '@xmoe/core';
import { openDevice, type OpenDeviceOptions } from './device/open-device.js';
import type { DeviceTraits } from './device/traits.js';
import { createKernels } from './kernels/index.js';
import { createArgumentBlocks } from './runtime/arguments.js';
import { createBindGroups } from './runtime/bind-groups.js';
import { blockOf, createBlockPool, DEVICE_BYTES, WebGpuBuffer } from './runtime/buffers.js';
import { createCommandStream, type StreamStatistics } from './runtime/command-stream.js';
import { createFailures } from './runtime/failures.js';
import { createPipelines } from './runtime/pipelines.js';
import { createProfiler, type Profiler } from './runtime/profiler.js';
import { createRecorder } from './runtime/recorder.js';
import { createRuntime, type RuntimeControl } from './runtime/runtime.js';

export interface WebGpuBackendOptions extends OpenDeviceOptions {
  /** Use less than the device offers, for tests and for measurements: e.g. `{ bindingBytes: 65536 }`, `{ subgroups: false }`. */
  traits?: Partial<DeviceTraits>;
}

export interface WebGpuBackend extends Backend {
  readonly device: GPUDevice;
  readonly traits: DeviceTraits;
  /** Kernel launches and submits since the start. */
  readonly statistics: Readonly<StreamStatistics>;
  /** Programs compiled so far. */
  readonly programs: number;
}

/**
 * Runs xmoe on WebGPU: in a page, or in Node with the npm package `webgpu`. Several backends may live side by side.
 * Error `backend` where there is no adapter; later failures (a lost device) are raised by the next read.
 */
export async function createWebGpuBackend({ traits: overrides, ...options }: WebGpuBackendOptions = {}): Promise<WebGpuBackend> {
  const { device, traits: offered, owned } = await openDevice(options);
  const traits = { ...offered, ...overrides };
  const failures = createFailures(device);
  const profiler = createProfiler(device);
  const stream = createCommandStream(device, failures, profiler);
  const bindGroups = createBindGroups(device);
  const destroyed = (): void => {
    stream.flush();
    bindGroups.forget();
  };
  const common = createBlockPool(device, { evict: true, destroyed });
  const recorder = createRecorder(device, stream.dispatch, destroyed);
  const pipelines = createPipelines(device, failures);
  let disposed = false;

  function allocate(dtype: DType, length: number): WebGpuBuffer {
    const pool = recorder.pool ?? common;
    return new WebGpuBuffer(pool.take(length * DEVICE_BYTES[dtype]), length, dtype, pool);
  }

  function free(buffer: Operand['buffer']): void {
    if (!(buffer instanceof WebGpuBuffer) || buffer.block === undefined) {
      throw new XMoEError('disposed', 'a buffer was freed twice or belongs to another backend', { op: 'free', hint: 'free each buffer once, on the backend that made it' });
    }
    buffer.pool.give(buffer.block);
    buffer.block = undefined;
  }

  const control = createRuntime({
    traits,
    pipelines,
    bindGroups,
    argumentBlocks: createArgumentBlocks(device, pipelines.argumentLayout),
    issue(command) {
      recorder.note(command);
      stream.dispatch(command);
    },
    allocate,
    free,
  });

  return {
    name: 'webgpu',
    description: describe(traits),
    capabilities: { float16: traits.float16, maxBufferBytes: Math.min(traits.bufferBytes, 2 ** 32 - 4) },
    kernels: withCalls(createKernels(control.runtime), control, () => failures.raise()),
    device,
    traits,
    statistics: stream.statistics,
    get programs() {
      return pipelines.size;
    },
    allocate,
    free,
    write(operand, data) {
      recorder.refuse('a tensor is written by the host');
      stream.upload(blockOf(operand), encode(operand, data));
    },
    async read(operand) {
      recorder.refuse('a tensor is read by the host');
      const length = sizeOf(operand.shape);
      const block = blockOf(operand);
      if (length === 0) return decode(operand.dtype, new ArrayBuffer(0), 0);
      const bytes = Math.ceil((length * DEVICE_BYTES[operand.dtype]) / 4) * 4;
      return decode(operand.dtype, await stream.download(block, bytes), length);
    },
    record: (fn) => recorder.record(fn),
    ...(traits.timestamps ? { profiler: profilerOf(profiler, () => stream.flush()) } : {}),
    memory: () => ({ bytes: common.bytes() + recorder.bytes() }),
    dispose() {
      if (disposed) return;
      disposed = true;
      failures.close();
      common.clear();
      recorder.dispose();
      if (owned) device.destroy();
    },
  };
}

function describe({ label, software, float16, subgroups }: DeviceTraits): string {
  const abilities = [float16 ? 'float16' : 'no float16', subgroups ? 'subgroups' : 'no subgroups', ...(software ? ['a software adapter: slow'] : [])];
  return `WebGPU on ${label} (${abilities.join(', ')})`;
}

function profilerOf(profiler: Profiler, flush: () => void): NonNullable<Backend['profiler']> {
  return {
    start() {
      flush();
      profiler.start();
    },
    stop() {
      flush();
      return profiler.stop();
    },
  };
}

/** The kernels, each freeing its scratch when it returns, and none after a failure. */
function withCalls(kernels: Kernels, { call }: RuntimeControl, raise: () => void): Kernels {
  const wrap = (kernel: (...operands: unknown[]) => void) => (...operands: unknown[]): void => {
    raise();
    call(() => kernel(...operands));
  };
  return Object.fromEntries(Object.entries(kernels).map(([name, kernel]) => [name, wrap(kernel as (...operands: unknown[]) => void)])) as unknown as Kernels;
}

/** Host numbers as they lie on the device, in whole words. */
function encode(operand: Operand, data: ArrayLike<number>): ArrayBufferView {
  const length = sizeOf(operand.shape);
  if (data.length !== length || length !== (operand.buffer as WebGpuBuffer).length) {
    throw new XMoEError('shape', `${data.length} values for ${formatShape(operand.shape)} in a buffer of ${(operand.buffer as WebGpuBuffer).length}`, {
      op: 'write',
      hint: 'give as many values as the shape has elements',
    });
  }
  switch (operand.dtype) {
    case 'float32':
      return data instanceof Float32Array ? data : Float32Array.from(data);
    case 'int32':
      return data instanceof Int32Array ? data : Int32Array.from(data);
    case 'uint32':
      return data instanceof Uint32Array ? data : Uint32Array.from(data);
    case 'bool':
      return Uint32Array.from(data, (value) => (value ? 1 : 0));
    case 'float16': {
      const halves = new Uint16Array(Math.ceil(length / 2) * 2);
      for (let i = 0; i < length; i++) halves[i] = encodeFloat16(data[i]!);
      return halves;
    }
  }
}

function decode(dtype: DType, bytes: ArrayBuffer, length: number): TensorData {
  switch (dtype) {
    case 'float32':
      return new Float32Array(bytes, 0, length);
    case 'int32':
      return new Int32Array(bytes, 0, length);
    case 'uint32':
      return new Uint32Array(bytes, 0, length);
    case 'bool':
      return Uint8Array.from(new Uint32Array(bytes, 0, length));
    case 'float16':
      return Float32Array.from(new Uint16Array(bytes, 0, length), decodeFloat16);
  }
}

