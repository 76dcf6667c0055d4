// createWebGpuBackend: puts device, runtime and kernels together behind the contract.
import {
  formatShape, sizeOf, XMoEError, type AnyKernel, type Backend, type BackendKernels, type DType, type Operand, type TensorData,
  type TuneReport,
} from '@xmoe/core';
import { openGpuDevice, type OpenDeviceOptions } from './device/open-device.js';
import type { DeviceTraits } from './device/traits.js';
import { decode, encode } from './host-data.js';
import { createKernels } from './kernels/index.js';
import { createTilings, type Tilings } from './kernels/tiles/tilings.js';
import { createArgumentBlocks } from './runtime/arguments.js';
import { createBindGroups } from './runtime/bind-groups.js';
import { BlockPool, blockOf, DEVICE_BYTES, largestBuffer, WebGpuBuffer } from './runtime/buffers.js';
import { CommandStream, type StreamStatistics } from './runtime/command-stream.js';
import { createFailures, noRoom, type Failures } from './runtime/failures.js';
import { createPipelines } from './runtime/pipelines.js';
import { createProfiler } from './runtime/profiler.js';
import { createRecorder, type Recorder } from './runtime/recorder.js';
import { DeviceRuntime } from './runtime/runtime.js';
import { createTuning, type TuningMode } from './tuning/index.js';

export interface WebGpuBackendOptions extends OpenDeviceOptions {
  /** Use less than the device offers, for tests and for measurements: e.g. `{ bindingBytes: 65536 }`, `{ subgroups: false }`. */
  traits?: Partial<DeviceTraits>;
  /** Whether the tiles of matrix products are chosen by measuring, and the choices kept in a cache. Default `auto`: on hardware adapters. */
  tuning?: TuningMode;
}

export interface WebGpuBackend extends Backend {
  readonly device: GPUDevice;
  readonly traits: DeviceTraits;
  /** Kernel launches and submits since the start. */
  readonly statistics: Readonly<StreamStatistics>;
  /** Which tiles matrix products get. */
  readonly tilings: Tilings;
  /**
   * Measures the tiles of the kinds of matrix products that were asked for so far and never measured; later calls use the
   * fastest. For 20 seconds unless told otherwise; where the option `tuning` says that nothing is measured, it does nothing.
   */
  tune(options?: { milliseconds?: number }): Promise<TuneReport>;
  /** Programs compiled so far. */
  readonly programs: number;
  /**
   * Compiles the programs of the kernels that `work` calls, all at once; nothing is launched. What did not compile, if anything, in a
   * line: kernels that need it raise it.
   */
  compile(work: () => void): Promise<string | undefined>;
}

/** Idle buffers may always use this much; beyond it, as much as was ever live at once. */
const IDLE_FLOOR_BYTES = 64 * 2 ** 20;

/** Once per run, for the classes that its first step asked for: about 25, each of up to six tiles. */
const TUNE_MILLISECONDS = 20_000;

/** Everything of one backend on one device. */
type Parts = ReturnType<typeof assemble>;

/**
 * Runs xmoe on WebGPU: in a page, or in Node with the npm package `webgpu`. Several backends may live side by side.
 * Error `backend` where there is no adapter; later failures (a lost device) are raised by the next read or kernel.
 */
export async function createWebGpuBackend(options: WebGpuBackendOptions = {}): Promise<WebGpuBackend> {
  return open(options, []);
}

async function open({ traits: overrides, tuning: mode = 'auto', ...options }: WebGpuBackendOptions, earlier: readonly string[]): Promise<WebGpuBackend> {
  const { device, traits: offered, owned } = await openGpuDevice(options);
  const traits = { ...offered, ...overrides };
  const parts = assemble(device, traits);
  const { stream, failures, pipelines, recorder, runtime, common } = parts;
  const tilings = createTilings(traits);
  let disposed = false;
  let notes = earlier;
  const backend: WebGpuBackend = {
    name: 'webgpu',
    get description() {
      return describe(traits, notes);
    },
    capabilities: { float16: traits.float16, maxBufferBytes: largestBuffer(traits.bufferBytes), skipsEmptyRows: 'linear', ...logitsAtOnce(traits) },
    kernels: withCalls(createKernels(runtime, tilings), runtime, failures),
    device,
    traits,
    statistics: stream.statistics,
    tilings,
    tune: async ({ milliseconds = TUNE_MILLISECONDS } = {}) => (parts.profiler.running || recorder.pool ? { measured: 0, left: tilings.wanted.size } : tuning.tuneWanted(milliseconds)),
    get programs() {
      return pipelines.size;
    },
    compile: (work) => pipelines.ahead(work),
    allocate: parts.allocate,
    free,
    ...transfersOf(parts),
    record: (fn) => recorder.record(fn),
    ...(traits.timestamps ? { profiler: profilerOf(parts) } : {}),
    memory: () => ({ bytes: common.bytes + recorder.bytes() }),
    dispose() {
      if (disposed) return;
      disposed = true;
      failures.close();
      common.close();
      recorder.dispose();
      if (owned) device.destroy();
    },
  };
  const tuning = createTuning(backend, mode);
  try {
    notes = [...earlier, ...(await tuning.start())];
    failures.raise();
    return backend;
  } catch (error) {
    backend.dispose();
    if (!tuning.active && traits.subgroupMatrix.length === 0) throw error;
    // What is only tried (experimental matrices, tiles that nobody may ever need) must not decide: once more without it.
    const reason = error instanceof Error ? error.message.split('\n')[0] : String(error);
    return open({ ...options, traits: { ...overrides, subgroupMatrix: [] }, tuning: 'off' }, [`neither tuned nor with subgroup matrices: ${reason}`]);
  }
}

function assemble(device: GPUDevice, traits: DeviceTraits) {
  const failures = createFailures(device);
  const profiler = createProfiler(device);
  const stream = new CommandStream(device, failures, profiler);
  const bindGroups = createBindGroups(device);
  const destroyed = (): void => {
    stream.flush();
    bindGroups.forget();
  };
  const made = (bytes: number, error: Promise<GPUError | null>): void => {
    const held = common.bytes + recorder.bytes() - bytes;
    // A lost device says so itself.
    failures.watch(error.then((found) => (found ? noRoom(bytes, held) : undefined), () => undefined));
  };
  const largest = largestBuffer(traits.bufferBytes);
  const common: BlockPool = new BlockPool(device, { largest, mostIdle: (peakLive) => Math.max(IDLE_FLOOR_BYTES, peakLive), made, destroyed });
  const recorder: Recorder = createRecorder({ device, largest, dispatch: (command) => stream.dispatch(command), made, destroyed, begins: () => common.clear(), raise: () => failures.raise() });
  const pipelines = createPipelines(device, failures, traits.halfOverflows);
  const allocate = (dtype: DType, length: number): WebGpuBuffer => {
    failures.raise();
    const pool = recorder.pool ?? common;
    return new WebGpuBuffer(pool.take(length * DEVICE_BYTES[dtype]), length, dtype, pool);
  };
  const runtime = new DeviceRuntime({
    device,
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
  return { device, failures, profiler, stream, common, recorder, pipelines, allocate, runtime };
}

function free(buffer: Operand['buffer']): void {
  if (!(buffer instanceof WebGpuBuffer) || buffer.block === undefined) {
    throw new XMoEError('disposed', 'a buffer was freed twice or belongs to another backend', { op: 'free', hint: 'free each buffer once, on the backend that made it' });
  }
  buffer.pool.give(buffer.block);
  buffer.block = undefined;
}

function transfersOf({ device, failures, stream, recorder }: Parts): Pick<Backend, 'write' | 'read'> {
  return {
    write(operand, data) {
      failures.raise();
      recorder.refuse('a tensor is written by the host');
      const block = blockOf(operand, device);
      const { length } = operand.buffer as WebGpuBuffer;
      if (data.length !== length || sizeOf(operand.shape) !== length) {
        throw new XMoEError('shape', `${data.length} values for ${formatShape(operand.shape)} in a buffer of ${length}`, {
          op: 'write',
          hint: 'give as many values as the shape has elements',
        });
      }
      if (length > 0) stream.upload(block, encode(operand.dtype, data, length));
    },
    async read(operand): Promise<TensorData> {
      failures.raise();
      recorder.refuse('a tensor is read by the host');
      const block = blockOf(operand, device);
      const length = sizeOf(operand.shape);
      if (length === 0) return decode(operand.dtype, new ArrayBuffer(0), 0);
      const bytes = Math.ceil((length * DEVICE_BYTES[operand.dtype]) / 4) * 4;
      return decode(operand.dtype, await stream.download(block, bytes), length);
    },
  };
}

/** 256 MiB on a GPU, within one binding: chunks of 2²³ leave most of a large one idle. */
function logitsAtOnce({ software, bindingBytes }: DeviceTraits): { readonly logitsAtOnce?: number } {
  return software ? {} : { logitsAtOnce: Math.min(2 ** 26, Math.floor(bindingBytes / DEVICE_BYTES.float32)) };
}

function describe({ label, software, float16, subgroups }: DeviceTraits, notes: readonly string[]): string {
  const abilities = [float16 ? 'float16' : 'no float16', subgroups ? 'subgroups' : 'no subgroups', ...notes, ...(software ? ['a software adapter: slow'] : [])];
  return `WebGPU on ${label} (${abilities.join(', ')})`;
}

function profilerOf({ profiler, stream, failures }: Parts): NonNullable<Backend['profiler']> {
  return {
    start() {
      stream.flush();
      profiler.start();
    },
    async stop() {
      stream.flush();
      return profiler.stop().catch(async (error: unknown) => {
        throw await failures.causeOf(error);
      });
    },
  };
}

/** The kernels, each freeing its scratch when it returns, and none after a failure. */
function withCalls(kernels: BackendKernels, runtime: DeviceRuntime, failures: Failures): BackendKernels {
  const wrap = (kernel: AnyKernel): AnyKernel => (inputs, outputs, attributes) => {
    failures.raise();
    runtime.call(() => kernel(inputs, outputs, attributes));
  };
  return Object.fromEntries(Object.entries(kernels).map(([name, kernel]) => [name, wrap(kernel as AnyKernel)])) as unknown as BackendKernels;
}
