// A GPUDevice that executes nothing and remembers everything: launches with their arguments and bindings, buffers, submits, memory.
// It shows at full size, on any machine, what a GPU would be asked to do, and what happens when it refuses. Results are zeros.
import { defineGpuGlobals } from './gpu-globals.js';
import { checkLaunch } from './launch-checks.js';
import { launchOf, parseProgram, type BoundResource, type Launch, type ParsedProgram } from './launch.js';
import type { DeviceProfile } from './profiles.js';

export interface MockMemory {
  /** Bytes of the buffers that exist now, the most that ever did, and the largest one. */
  bytes: number;
  peakBytes: number;
  largest: number;
  /** Buffers made so far. */
  made: number;
}

/** Counted since the start, or since `reset`. */
export interface MockCounts {
  launches: number;
  submits: number;
  passes: number;
  bindGroups: number;
  pipelines: number;
  /** By `writeBuffer`; by copies into buffers that can be mapped. */
  uploadedBytes: number;
  downloadedBytes: number;
}

export interface MockGpu {
  readonly device: GPUDevice;
  readonly memory: MockMemory;
  readonly counts: MockCounts;
  /** Launches of each submit, in order. */
  readonly submits: Launch[][];
  /** What launches did that a device forbids or leaves undefined, with how often. */
  readonly problems: ReadonlyMap<string, number>;
  /** Whether launches are kept: a long run has millions. Default true. They are checked in any case. */
  keepLaunches: boolean;
  /** A buffer that would take the memory beyond this is refused as a device does: later, and with an invalid buffer. Default: none is. */
  memoryLimit: number;
  /** Forgets counts, submits and problems; not what exists. */
  reset(): void;
  /** The device is lost, as by a reset of the driver. */
  lose(message: string): void;
}

/** A buffer of the mock. Only those for arguments have contents. */
export interface MockBuffer {
  readonly size: number;
  readonly usage: number;
  readonly words: Uint32Array | undefined;
  /** Destroyed, or refused when it was made. */
  gone: boolean;
}

interface MockPipeline {
  readonly program: ParsedProgram;
  getBindGroupLayout(): object;
}

interface MockCommands {
  readonly launches: Launch[];
  readonly downloadedBytes: number;
}

type Scope = { readonly filter: string; error: { readonly message: string } | null };

/** Opens a device of the given kind. Defines the constants of WebGPU where the process has none. */
export function createMockGpu({ limits, features, info }: DeviceProfile): MockGpu {
  defineGpuGlobals();
  const state = new MockState(limits);
  const lost = new Promise<{ reason: string; message: string }>((resolve) => (state.lose = (message) => resolve({ reason: 'unknown', message })));
  const named = <T>(descriptor: T): T => ({ ...descriptor });
  const pipelineOf = ({ compute }: GPUComputePipelineDescriptor): MockPipeline => state.pipeline(compute.module as unknown as { program: ParsedProgram });
  const device = {
    features: new Set(features), limits, adapterInfo: info, lost,
    addEventListener: (_: string, listener: (event: GPUUncapturedErrorEvent) => void) => void state.listeners.add(listener),
    removeEventListener: (_: string, listener: (event: GPUUncapturedErrorEvent) => void) => void state.listeners.delete(listener),
    destroy: () => state.lose('it was destroyed'),
    pushErrorScope: (filter: string) => void state.scopes.push({ filter, error: null }),
    popErrorScope: () => Promise.resolve(state.scopes.pop()?.error ?? null),
    createBindGroupLayout: named, createPipelineLayout: named, createQuerySet: named,
    createShaderModule: ({ code, label = '' }: GPUShaderModuleDescriptor) => ({ program: parseProgram(label, code), getCompilationInfo: () => Promise.resolve({ messages: [] }) }),
    createComputePipeline: pipelineOf,
    createComputePipelineAsync: (descriptor: GPUComputePipelineDescriptor) => Promise.resolve(pipelineOf(descriptor)),
    createBuffer: (descriptor: GPUBufferDescriptor) => state.buffer(descriptor),
    createBindGroup: ({ entries }: GPUBindGroupDescriptor) => {
      state.counts.bindGroups++;
      return { entries };
    },
    createCommandEncoder: () => state.encoder(),
    queue: {
      writeBuffer(buffer: MockBuffer, offset: number, data: Uint32Array, start = 0, count = data.length - start) {
        buffer.words?.set(data.subarray(start, start + count), offset / 4);
        state.counts.uploadedBytes += ArrayBuffer.isView(data) ? count * data.BYTES_PER_ELEMENT : count;
      },
      submit: (commands: readonly MockCommands[]) => state.submit(commands),
      onSubmittedWorkDone: () => Promise.resolve(undefined),
    },
  };
  return Object.assign(state.view(), { device: device as unknown as GPUDevice });
}

const NO_COUNTS: MockCounts = { launches: 0, submits: 0, passes: 0, bindGroups: 0, pipelines: 0, uploadedBytes: 0, downloadedBytes: 0 };

class MockState {
  readonly memory: MockMemory = { bytes: 0, peakBytes: 0, largest: 0, made: 0 };
  readonly counts: MockCounts = { ...NO_COUNTS };
  readonly submits: Launch[][] = [];
  readonly problems = new Map<string, number>();
  readonly listeners = new Set<(event: GPUUncapturedErrorEvent) => void>();
  readonly scopes: Scope[] = [];
  readonly #limits: DeviceProfile['limits'];
  keepLaunches = true;
  memoryLimit = Infinity;
  lose: (message: string) => void = () => undefined;

  constructor(limits: DeviceProfile['limits']) {
    this.#limits = limits;
  }

  view(): Omit<MockGpu, 'device'> & MockState {
    return Object.assign(this, {
      reset: () => {
        Object.assign(this.counts, NO_COUNTS);
        this.submits.length = 0;
        this.problems.clear();
      },
    });
  }

  pipeline({ program }: { program: ParsedProgram }): MockPipeline {
    this.counts.pipelines++;
    return { program, getBindGroupLayout: () => ({}) };
  }

  buffer({ size, usage }: GPUBufferDescriptor): MockBuffer & Pick<GPUBuffer, 'destroy' | 'mapAsync' | 'getMappedRange' | 'unmap'> {
    const { memory } = this;
    const refused = memory.bytes + size > this.memoryLimit || size > this.#limits.maxBufferSize!;
    if (refused) this.#refuse(size);
    else {
      memory.bytes += size;
      memory.made++;
      memory.peakBytes = Math.max(memory.peakBytes, memory.bytes);
      memory.largest = Math.max(memory.largest, size);
    }
    const made = {
      size, usage, gone: refused,
      words: usage & GPUBufferUsage.UNIFORM ? new Uint32Array(size / 4) : undefined,
      destroy: () => {
        if (!made.gone) memory.bytes -= size;
        made.gone = true;
        return undefined;
      },
      mapAsync: () => Promise.resolve(undefined),
      getMappedRange: (_ = 0, length = size) => new ArrayBuffer(length),
      unmap: () => undefined,
    };
    return made;
  }

  /** To the innermost scope for it, else to whoever listens. */
  #refuse(size: number): void {
    const message = `a buffer of ${size} bytes cannot be had`;
    const scope = this.scopes.findLast(({ filter }) => filter === 'out-of-memory');
    if (scope) scope.error ??= { message };
    else for (const listener of this.listeners) listener({ error: new GPUOutOfMemoryError(message), preventDefault: () => undefined } as unknown as GPUUncapturedErrorEvent);
  }

  encoder() {
    const launches: Launch[] = [];
    let downloadedBytes = 0;
    return {
      beginComputePass: () => {
        this.counts.passes++;
        let program: ParsedProgram;
        const groups: (readonly BoundResource[])[] = [];
        return {
          setPipeline: (pipeline: MockPipeline) => void ({ program } = pipeline),
          setBindGroup: (index: number, group: { entries: readonly BoundResource[] }) => void (groups[index] = group.entries),
          dispatchWorkgroups: (x: number, y = 1, z = 1) => void launches.push(launchOf(program, groups, [x, y, z])),
          end: () => undefined,
        };
      },
      copyBufferToBuffer: (...[, , to, , bytes]: [MockBuffer, number, MockBuffer, number, number]) => {
        if (to.usage & GPUBufferUsage.MAP_READ) downloadedBytes += bytes;
      },
      resolveQuerySet: () => undefined,
      finish: (): MockCommands => ({ launches, downloadedBytes }),
    };
  }

  submit(commands: readonly MockCommands[]): void {
    const launches = commands.flatMap((part) => part.launches);
    this.counts.submits++;
    this.counts.launches += launches.length;
    this.counts.downloadedBytes += commands.reduce((sum, part) => sum + part.downloadedBytes, 0);
    for (const launch of launches) for (const problem of checkLaunch(launch, this.#limits)) this.problems.set(problem, (this.problems.get(problem) ?? 0) + 1);
    if (this.keepLaunches) this.submits.push(launches);
  }
}
