// The tensor: a dense, row-major view of a reference-counted storage. Operations on it live in ops/.
import type { BackendBuffer, Operand } from './contract.js';
import { bytesPerElement, type DType, type TensorData } from './dtype.js';
import type { Engine } from './engine.js';
import { XMoEError } from './errors.js';
import { numbersOf, requireElements } from './host-values.js';
import { formatShape, sizeOf, type Shape } from './shape.js';

/** A buffer that several tensors (aliases, saved activations) may share. Freed with its last reference. */
export interface Storage {
  readonly buffer: BackendBuffer;
  readonly bytes: number;
  references: number;
  /** Where it was made; only at debug level `leaks`. */
  readonly site: string | undefined;
}

let nextTensorId = 1;

/**
 * An n-dimensional array on one engine. Made by the engine and by ops; freed by `dispose`, `using`, or the scope it was
 * made in. Ops never consume their inputs.
 */
export class Tensor implements Operand {
  /** Identity for automatic differentiation. Aliases have ids of their own. */
  readonly id: number = nextTensorId++;
  readonly engine: Engine;
  readonly shape: Shape;
  readonly dtype: DType;
  /** @internal */
  readonly storage: Storage;
  /** @internal The scope that frees this tensor; undefined once kept. */
  owner: Set<Tensor> | undefined;
  #disposed = false;

  /** @internal Use `engine.tensor`, `engine.zeros`, … */
  constructor(engine: Engine, storage: Storage, shape: Shape, dtype: DType) {
    this.engine = engine;
    this.storage = storage;
    this.shape = shape;
    this.dtype = dtype;
  }

  get rank(): number {
    return this.shape.length;
  }

  /** Number of elements. */
  get size(): number {
    return sizeOf(this.shape);
  }

  get bytes(): number {
    return this.size * bytesPerElement(this.dtype);
  }

  get disposed(): boolean {
    return this.#disposed;
  }

  /** The storage for kernels. An error once the tensor or its engine is disposed. */
  get buffer(): BackendBuffer {
    if (this.engine.disposed) {
      throw new XMoEError('disposed', `a tensor ${this.toString()} was used after its engine was disposed`, {
        hint: 'read what you need with data() before you dispose the engine',
      });
    }
    if (this.#disposed) {
      throw new XMoEError('disposed', `a tensor ${this.toString()} was used after it was disposed`, {
        hint: 'return it from the scope that made it, or call keep() on it',
      });
    }
    return this.storage.buffer;
  }

  /** Copies the contents to the host. The only wait in the library. */
  async data(): Promise<TensorData> {
    // The read starts now: the tensor may be disposed while it is under way.
    const [data] = await Promise.all([this.engine.backend.read(this), this.engine.settle()]);
    return data;
  }

  /** As `data`, at once, on backends that can (cpu, tfjs); an error elsewhere. */
  dataSync(): TensorData {
    const { backend } = this.engine;
    if (!backend.readSync) {
      throw new XMoEError('backend', `${backend.name} cannot read synchronously`, {
        op: 'dataSync',
        hint: 'use await tensor.data()',
      });
    }
    return backend.readSync(this);
  }

  /** The only element of a tensor of size 1. */
  async item(): Promise<number> {
    if (this.size !== 1) {
      throw new XMoEError('shape', `expected one element, got shape ${formatShape(this.shape)}`, {
        op: 'item',
        hint: 'reduce the tensor first, or use data()',
      });
    }
    return (await this.data())[0]!;
  }

  /** Replaces the contents in place; for inputs and parameters, not for tensors that a gradient depends on. */
  write(data: ArrayLike<number>): void {
    requireElements('write', data, this.dtype);
    if (data.length !== this.size) {
      throw new XMoEError('shape', `${data.length} values do not fill shape ${formatShape(this.shape)}`, {
        op: 'write',
        hint: `pass ${this.size} values`,
      });
    }
    this.engine.backend.write(this, numbersOf(data, this.dtype));
  }

  /** Takes the tensor out of the scope it was made in: from now on it lives until `dispose`. */
  keep(): this {
    this.engine.untrack(this);
    return this;
  }

  /** Gives up this reference. Safe to call twice. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.engine.release(this);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  toString(): string {
    return `${this.dtype} ${formatShape(this.shape)}`;
  }
}

/** Nested arrays and plain objects with tensors at the leaves. */
export type TensorTree = Tensor | null | undefined | readonly TensorTree[] | { readonly [key: string]: TensorTree };

/** All tensors inside a value: arrays, plain objects and maps are walked, anything else is left alone. */
export function collectTensors(value: unknown): Tensor[] {
  if (value instanceof Tensor) return [value];
  if (typeof value !== 'object' || value === null) return [];
  const found: Tensor[] = [];
  const seen = new Set<object>();
  const visit = (item: unknown): void => {
    if (typeof item !== 'object' || item === null || seen.has(item)) return;
    seen.add(item);
    if (item instanceof Tensor) found.push(item);
    else if (Array.isArray(item)) item.forEach(visit);
    else if (item instanceof Map) item.forEach(visit);
    else if (isPlainObject(item)) Object.values(item).forEach(visit);
  };
  visit(value);
  return found;
}

/** A copy of a value with `fn` applied to every tensor that {@link collectTensors} would find; anything else stays. */
export function mapTensors<R>(value: R, fn: (tensor: Tensor) => Tensor): R {
  const map = (item: unknown): unknown => {
    if (typeof item !== 'object' || item === null) return item;
    if (item instanceof Tensor) return fn(item);
    if (Array.isArray(item)) return item.map(map);
    if (item instanceof Map) return new Map([...item].map(([key, child]) => [key, map(child)]));
    return isPlainObject(item) ? Object.fromEntries(Object.entries(item).map(([key, child]) => [key, map(child)])) : item;
  };
  return map(value) as R;
}

export function isPlainObject(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
