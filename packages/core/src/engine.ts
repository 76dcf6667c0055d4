// The engine: one backend plus what the host keeps about it (live tensors, scopes, the gradient tape, debug checks).
// Several engines may live side by side; nothing here is global.
import type { Backend, BackendBuffer, Kernels } from './contract.js';
import { requireOptions } from './checks.js';
import { createConstants, type Constants } from './constants.js';
import { watchKernels, type NonFiniteWatch } from './debug.js';
import { bytesPerElement, inferDType, type DType, type TensorData } from './dtype.js';
import { XMoEError } from './errors.js';
import { createFallbacks, onlyPresent } from './fallbacks/index.js';
import { groupedProductsOn, type GroupedProducts } from './grouped-products.js';
import { timeKernels } from './kernel-timer.js';
import { numbersOf, requireDTypeName, requireElements, requireShape } from './host-values.js';
import type { RandomKey } from './random.js';
import { formatShape, sizeOf, type Shape } from './shape.js';
import type { Tape } from './tape.js';
import { collectTensors, Tensor, type Storage } from './tensor.js';

export interface EngineOptions {
  /**
   * off: no checks. nan: every kernel's float output is checked and the first NaN raises an error with the kernel's
   * name, as does an id that a table or a vocabulary does not have. leaks: every storage remembers where it was made, for `leakReport`. all: both.
   */
  readonly debug?: 'off' | 'nan' | 'leaks' | 'all';
  /** Give the engine a `profiler` also where the backend has none of its own, by timing kernel calls on the host. */
  readonly profile?: boolean;
}

export interface MemoryReport {
  /** Buffers alive now. */
  buffers: number;
  /** Bytes alive now, and the most since the last `resetPeakMemory`. Pools of the backend are not counted. */
  bytes: number;
  peakBytes: number;
}

export type DataInput = TensorData | readonly number[] | readonly boolean[];

/** Puts an engine on a backend. Dispose it to free all that is left on the device. */
export function createEngine(backend: Backend, options: EngineOptions = {}): Engine {
  return new Engine(backend, options);
}

export class Engine {
  readonly backend: Backend;
  /** Every primitive: the backend's own kernel where it has one, else core's fallback. */
  readonly kernels: Kernels;
  /** Time per kernel: the backend's own, or the host's clock with the option `profile`. */
  readonly profiler: Backend['profiler'];
  /** Names of the fused primitives that run as fallbacks here. */
  readonly fallbackNames: readonly string[];
  /** How products by segment run here. */
  readonly groupedProducts: GroupedProducts;
  readonly #live = new Set<Storage>();
  readonly #constants: Constants;
  readonly #recordSites: boolean;
  readonly #watch: NonFiniteWatch | undefined;
  #scope: Set<Tensor> | undefined;
  #tape: Tape | undefined;
  #bytes = 0;
  #peakBytes = 0;
  #disposed = false;

  /** @internal Use {@link createEngine}. */
  constructor(backend: Backend, options: EngineOptions) {
    this.backend = backend;
    const debug = options.debug ?? 'off';
    this.#recordSites = debug === 'leaks' || debug === 'all';
    const fallbacks = createFallbacks(backend);
    const own = onlyPresent(backend.kernels);
    this.fallbackNames = Object.keys(fallbacks).filter((name) => !(name in own));
    this.groupedProducts = groupedProductsOn(backend, this.fallbackNames);
    const plain = { ...fallbacks, ...own } as Kernels;
    const timer = options.profile && !backend.profiler ? timeKernels(plain) : undefined;
    const kernels = timer?.kernels ?? plain;
    this.profiler = backend.profiler ?? timer?.profiler;
    if (debug === 'nan' || debug === 'all') {
      this.#watch = watchKernels(kernels, backend);
      this.kernels = this.#watch.kernels;
    } else {
      this.kernels = kernels;
    }
    this.#constants = createConstants((value, dtype) => {
      this.#requireOpen();
      const storage = this.#store(backend.allocate(dtype, 1), 0);
      const out = new Tensor(this, storage, [], dtype);
      this.kernels.fill({}, { out }, { value });
      return out;
    });
  }

  // ---- making tensors ----

  /** A tensor with undefined contents, for an op to fill. Error `disposed` once the engine is, as for all that makes tensors. */
  empty(shape: Shape, dtype: DType = 'float32'): Tensor {
    this.#requireOpen();
    requireShape('tensor', shape);
    requireDTypeName('tensor', dtype);
    const length = sizeOf(shape);
    const bytes = length * bytesPerElement(dtype);
    if (bytes > this.backend.capabilities.maxBufferBytes) {
      throw new XMoEError('memory', `${dtype} ${formatShape(shape)} needs ${bytes} bytes, more than one buffer of ${this.backend.name} holds (${this.backend.capabilities.maxBufferBytes})`, {
        hint: 'use a smaller batch, or a chunked op',
      });
    }
    return this.adopt(this.backend.allocate(dtype, length), shape, dtype);
  }

  /** Wraps a buffer of this backend; the tensor owns it from now on. */
  adopt(buffer: BackendBuffer, shape: Shape, dtype: DType): Tensor {
    this.#requireOpen();
    const storage = this.#store(buffer, sizeOf(shape) * bytesPerElement(dtype));
    return this.#track(new Tensor(this, storage, shape, dtype));
  }

  #store(buffer: BackendBuffer, bytes: number): Storage {
    const storage: Storage = { buffer, bytes, references: 1, site: this.#recordSites ? creationSite() : undefined };
    this.#live.add(storage);
    this.#bytes += bytes;
    if (this.#bytes > this.#peakBytes) this.#peakBytes = this.#bytes;
    return storage;
  }

  /** A tensor with the given contents. Without a shape: one axis. Without a dtype: what the data stands for. */
  tensor(data: DataInput, shape: Shape = [data?.length], dtype: DType = inferDType(data)): Tensor {
    requireDTypeName('tensor', dtype);
    requireElements('tensor', data, dtype);
    requireShape('tensor', shape);
    if (sizeOf(shape) !== data.length) {
      throw new XMoEError('shape', `${data.length} values do not fill shape ${formatShape(shape)}`, {
        op: 'tensor',
        hint: `pass ${sizeOf(shape)} values, or another shape`,
      });
    }
    const out = this.empty(shape, dtype);
    this.backend.write(out, numbersOf(data, dtype));
    return out;
  }

  scalar(value: number, dtype: DType = 'float32'): Tensor {
    return this.full([], value, dtype);
  }

  /**
   * @internal The number as a shared tensor [], for ops that take numbers: made once, owned by the engine, outside of
   * scopes and of the memory report. Not to be written or disposed.
   */
  constant(value: number, dtype: DType = 'float32'): Tensor {
    return this.#constants.get(value, dtype);
  }

  full(shape: Shape, value: number, dtype: DType = 'float32'): Tensor {
    requireDTypeName('full', dtype);
    requireElements('full', [value], dtype);
    const out = this.empty(shape, dtype);
    this.kernels.fill({}, { out }, { value });
    return out;
  }

  zeros(shape: Shape, dtype: DType = 'float32'): Tensor {
    return this.full(shape, 0, dtype);
  }

  ones(shape: Shape, dtype: DType = 'float32'): Tensor {
    return this.full(shape, 1, dtype);
  }

  /** start, start + step, … : [length]. */
  iota(length: number, options: { start?: number; step?: number; dtype?: DType } = {}): Tensor {
    requireOptions('iota', options);
    const { start = 0, step = 1, dtype = 'int32' } = options;
    requireDTypeName('iota', dtype);
    if (dtype === 'float16' || dtype === 'bool') throw new XMoEError('dtype', `dtype is ${dtype}`, { op: 'iota', hint: 'int32, uint32 or float32; cast it afterwards' });
    requireElements('iota', [start, step], dtype === 'uint32' ? 'int32' : dtype);
    const out = this.empty([length], dtype);
    this.kernels.iota({}, { out }, { start, step });
    return out;
  }

  /** A random key on the device: uint32 [2]. Rewrite it each step with `key.write`. */
  key(key: RandomKey): Tensor {
    requireElements('key', key, 'uint32');
    return this.tensor(Uint32Array.from(key), [2], 'uint32');
  }

  /** Another reference to the same storage, perhaps with another shape of the same size. */
  alias(tensor: Tensor, shape: Shape = tensor.shape): Tensor {
    return this.#track(this.retain(tensor, shape));
  }

  /** @internal An alias outside of every scope: whoever asked for it disposes it. */
  retain(tensor: Tensor, shape: Shape = tensor.shape): Tensor {
    if (!(tensor instanceof Tensor)) throw new XMoEError('value', 'an alias is of a tensor', { op: 'alias', hint: 'make one with engine.tensor(values, shape)' });
    void tensor.buffer; // raises if disposed
    requireShape('alias', shape);
    if (shape !== tensor.shape && sizeOf(shape) !== tensor.size) {
      throw new XMoEError('shape', `cannot see ${formatShape(tensor.shape)} as ${formatShape(shape)}`, {
        op: 'alias',
        hint: `the sizes must agree: ${tensor.size} elements`,
      });
    }
    tensor.storage.references++;
    return new Tensor(tensor.engine, tensor.storage, shape, tensor.dtype);
  }

  // ---- scopes ----

  /** Runs `fn` and frees every tensor made inside except those in its result (and kept ones). */
  scope<R>(fn: () => R): R {
    const parent = this.#scope;
    const own = new Set<Tensor>();
    this.#scope = own;
    let result: R;
    try {
      result = fn();
    } catch (error) {
      this.#scope = parent;
      for (const tensor of own) tensor.dispose();
      throw error;
    }
    this.#scope = parent;
    if (result instanceof Promise) {
      for (const tensor of own) tensor.dispose();
      result.catch(() => undefined); // it goes on with disposed tensors: what it raises is not the cause
      throw new XMoEError('scope', 'the function of a scope returned a promise', {
        op: 'scope',
        hint: 'compute inside the scope, await data() outside of it',
      });
    }
    for (const tensor of collectTensors(result)) {
      if (own.delete(tensor)) this.#track(tensor);
    }
    for (const tensor of own) tensor.dispose();
    return result;
  }

  /** @internal */
  untrack(tensor: Tensor): void {
    tensor.owner?.delete(tensor);
    tensor.owner = undefined;
  }

  /** @internal Called by `Tensor.dispose`. */
  release(tensor: Tensor): void {
    this.untrack(tensor);
    const { storage } = tensor;
    if (--storage.references > 0) return;
    if (!this.#live.delete(storage)) return; // freed with the engine
    this.#bytes -= storage.bytes;
    this.backend.free(storage.buffer);
  }

  #track(tensor: Tensor): Tensor {
    tensor.owner = this.#scope;
    this.#scope?.add(tensor);
    return tensor;
  }

  // ---- automatic differentiation ----

  /** @internal The tape that ops record on now. */
  get tape(): Tape | undefined {
    return this.#tape;
  }

  /** @internal Runs `fn` with another tape, or with none. */
  withTape<R>(tape: Tape | undefined, fn: () => R): R {
    const previous = this.#tape;
    this.#tape = tape;
    try {
      return fn();
    } finally {
      this.#tape = previous;
    }
  }

  /** Runs `fn` without recording for gradients. */
  noGrad<R>(fn: () => R): R {
    return this.withTape(undefined, fn);
  }

  // ---- reports ----

  memory(): MemoryReport {
    return { buffers: this.#disposed ? 0 : this.#live.size - this.#constants.size, bytes: this.#bytes, peakBytes: this.#peakBytes };
  }

  resetPeakMemory(): void {
    this.#peakBytes = this.#bytes;
  }

  /** Live buffers by the place that made them, most bytes first. Needs debug level `leaks`. */
  leakReport(): { site: string; buffers: number; bytes: number }[] {
    const bySite = new Map<string, { site: string; buffers: number; bytes: number }>();
    for (const storage of this.#live) {
      if (storage.bytes === 0 && this.#constants.holds(storage)) continue;
      const site = storage.site ?? 'unknown (create the engine with debug: "leaks")';
      const entry = bySite.get(site) ?? { site, buffers: 0, bytes: 0 };
      entry.buffers++;
      entry.bytes += storage.bytes;
      bySite.set(site, entry);
    }
    return [...bySite.values()].sort((a, b) => b.bytes - a.bytes);
  }

  /** @internal Raises what deferred checks found. */
  async settle(): Promise<void> {
    await this.#watch?.settle();
  }

  /** Whether `dispose` was called: its tensors are gone, and it makes no more. */
  get disposed(): boolean {
    return this.#disposed;
  }

  #requireOpen(): void {
    if (!this.#disposed) return;
    throw new XMoEError('disposed', `the engine on ${this.backend.name} was disposed`, { hint: 'make a new engine' });
  }

  /** Frees every live buffer and disposes the backend. Safe to call twice. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    for (const storage of this.#live) this.backend.free(storage.buffer);
    this.#live.clear();
    this.#bytes = 0;
    this.backend.dispose();
  }
}

/** The first stack frames outside of the engine (by method, not by file: a bundle is one file). */
function creationSite(): string {
  const frames = (new Error().stack ?? '').split('\n').slice(1);
  return frames
    .filter((frame) => !/^\s*at (creationSite|Engine\.|_Engine\.)/.test(frame))
    .slice(0, 3)
    .map((frame) => frame.trim().replace(/^at /, ''))
    .join(' < ');
}
