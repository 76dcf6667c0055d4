// TensorFlow's operations by the binding of tfjs-node, on its numbers of tensors: no tensor objects of JavaScript between two of them, and no
// checks that read back. What a primitive is made of is in the files beside this one.
import { XMoEError, type DType, type Operand } from '@xmoe/core';
import { sameShape } from '@xmoe/core/backend';
import { boxOf, type BoxStore } from '../box.js';
import type { TfDType, TfTensor, Tfjs } from '../tfjs-module.js';
import { TYPES, type Attribute, type Id, type Made, type Result } from './graph.js';
import type { GraphBinding, Watch } from './recorder.js';

export type { Id };

/** What the addon gives, as far as it is used here. */
export interface Binding extends GraphBinding {
  executeOp(name: string, attributes: readonly Attribute[], inputs: readonly number[], outputs: number): Result[];
  createTensor(shape: readonly number[], dtype: number, values: Float32Array | Int32Array | Uint8Array): number;
  deleteTensor(id: number): void;
}

type TfType = keyof typeof TYPES;

/** What factors of products are rounded to; `float32` leaves them. */
export const PRODUCTS = ['float32', 'bfloat16', 'float16'] as const;
export type Products = (typeof PRODUCTS)[number];

/** The storage of tfjs-node: what it knows of a tensor by its dataId. */
interface NativeStorage {
  readonly binding: Binding;
  readonly tensorMap: { set(dataId: object, info: { shape: number[]; dtype: number; id: number; values: null; refCount: number }): void };
  getInputTensorIds(tensors: readonly TfTensor[]): number[];
}

type Attributes = Readonly<Record<string, boolean | number | string | readonly number[]>>;

/** Operations by number. Those that it gives out live until the end of `step`. */
export interface Ops {
  readonly binding: Binding;
  /** The operand in its own shape; stays the box's. */
  id(operand: Operand): Id;
  /** What a product takes for `x`: itself, or rounded to `products`. */
  factor(x: Id): Id;
  /** As `factor`. The rounded copy of a parameter is kept until its next update. */
  factorOf(operand: Operand): Id;
  /** The dtype of factors. */
  readonly products: Products;
  /** Runs an operation with one result. Attributes: a type by its name, `int:` before the names of whole numbers. */
  run(name: string, attributes: Attributes, ...inputs: readonly Id[]): Id;
  runMany(name: string, attributes: Attributes, inputs: readonly Id[], outputs: number): Id[];
  /** Kept for the next call that asks for the same. */
  scalar(value: number, type?: 'float32' | 'int32'): Id;
  vector(values: readonly number[]): Id;
  /** A copy of `values`. */
  upload(values: Float32Array | Int32Array, shape: readonly number[]): Id;
  /** What the host makes of `from`, anew in every replay of a recording. */
  uploadEach(from: Operand, made: Made): Id;
  reshape(x: Id, shape: readonly number[]): Id;
  /** Makes `id`, which has the shape of `out`, its contents; each id once. */
  put(out: Operand, id: Id): void;
  /** A kept tensor of JavaScript around `id`, which is then its. */
  wrap(id: Id, shape: readonly number[], dtype: DType): TfTensor;
  /** Takes `id` out of what the end of the step frees. */
  keep(id: Id): Id;
  /** Puts `id`, which came from elsewhere, among what the end of the step frees. */
  adopt(id: Id): Id;
  free(id: Id): void;
  /** Runs `body` and frees what it made. */
  step(body: () => void): void;
  dispose(): void;
}

/** Constants at most before all are made anew: places in a text change with every token. */
const MOST_CONSTANTS = 4096;

function createAttributes(binding: Binding) {
  const attributes = new Map<string, Attribute>();
  return (name: string, value: Attributes[string]): Attribute => {
    const key = `${name}=${String(value)}`;
    const known = attributes.get(key);
    if (known) return known;
    const [plain, kind] = name.startsWith('int:') ? [name.slice(4), 'int'] : [name, typeof value];
    const attribute =
      kind === 'int' ? { name: plain, type: binding.TF_ATTR_INT, value }
      : kind === 'boolean' ? { name, type: binding.TF_ATTR_BOOL, value }
      : Array.isArray(value) ? { name, type: binding.TF_ATTR_SHAPE, value }
      : typeof value === 'string' && value in TYPES ? { name, type: binding.TF_ATTR_TYPE, value: TYPES[value as TfType] }
      : typeof value === 'number' ? { name, type: binding.TF_ATTR_TYPE, value }
      : { name, type: binding.TF_ATTR_STRING, value };
    // Names of variables and shapes are many.
    if (attribute.type !== binding.TF_ATTR_STRING && attribute.type !== binding.TF_ATTR_SHAPE) attributes.set(key, attribute);
    return attribute;
  };
}

function createConstants({ tensor, end }: ReturnType<typeof createUploads>) {
  const constants = new Map<string, Id>();
  const constant = (key: string, make: () => Id): Id => {
    const known = constants.get(key);
    if (known !== undefined) return known;
    const id = make();
    constants.set(key, id);
    return id;
  };
  const freeConstants = (): void => {
    for (const id of constants.values()) end(id);
    constants.clear();
  };
  return {
    scalar: (value: number, type: 'float32' | 'int32' = 'float32') => constant(`${type} ${Object.is(value, -0) ? '-0' : value}`, () => tensor([], type, [value])),
    vector: (values: readonly number[]) => constant(`[${values.join()}]`, () => tensor([values.length], 'int32', values)),
    count: () => constants.size,
    freeConstants,
  };
}

/** Tensors of numbers of the host, and what ends any. */
function createUploads(binding: Binding, watch: Watch | null) {
  return {
    /** With a copy of `values`. */
    tensor(shape: readonly number[], type: 'int32' | 'float32', values: ArrayLike<number>): Id {
      const id = binding.createTensor(shape, TYPES[type], copied(values, type));
      watch?.fixed(id, type, shape);
      return id;
    },
    end(id: Id): void {
      binding.deleteTensor(id);
      watch?.freed(id);
    },
  };
}

function createRunner(binding: Binding, made: Set<Id>, watch: Watch | null): Ops['runMany'] {
  const attributeOf = createAttributes(binding);
  return (name, attrs, inputs, outputs) => {
    const list: Attribute[] = [];
    for (const key in attrs) list.push(attributeOf(key, attrs[key]!));
    let results: Result[];
    try {
      results = binding.executeOp(name, list, inputs, outputs);
    } catch (cause) {
      throw failed(name, cause);
    }
    watch?.ran(name, list, inputs, results);
    return results.map(({ id }) => (made.add(id), id));
  };
}

function createFactors(products: Products, isWatched: boolean, opsOf: () => Ops): Pick<Ops, 'products' | 'factor' | 'factorOf'> {
  const factor = (x: Id): Id => (products === 'float32' ? x : opsOf().run('Cast', { SrcT: 'float32', DstT: products, Truncate: false }, x));
  return {
    products,
    factor,
    factorOf(operand) {
      const { id, keep, free, reshape } = opsOf();
      const box = boxOf(operand);
      const { variable } = box;
      if (products === 'float32' || variable === null || isWatched) return factor(id(operand)); // a recording makes its own copies
      if (box.rounded === null) {
        const rounded = keep(factor(id({ buffer: operand.buffer, dtype: operand.dtype, shape: variable.shape })));
        box.rounded = { id: rounded, release: () => free(rounded) };
      }
      return sameShape(variable.shape, operand.shape) ? box.rounded.id : reshape(box.rounded.id, operand.shape);
    },
  };
}

function createWrap(tf: Tfjs, storage: NativeStorage, made: Set<Id>): Ops['wrap'] {
  const engine = tf.engine();
  return (id, shape, dtype) => {
    made.delete(id);
    const dataId = {};
    storage.tensorMap.set(dataId, { shape: [...shape], dtype: TYPES[dtype as TfDType], id, values: null, refCount: 1 });
    return engine.keep(engine.makeTensorFromTensorInfo({ dataId, shape: [...shape], dtype: dtype as TfDType }, storage as never));
  };
}

function createReader(store: BoxStore, storage: NativeStorage, watch: Watch | null, opsOf: () => Ops): Ops['id'] {
  return (operand) => {
    const { buffer, shape, dtype } = operand;
    const box = boxOf(operand);
    const held = store.tensorOf(box);
    const [id] = storage.getInputTensorIds([held]) as [Id];
    watch?.read(id, { buffer, shape: held.shape, dtype });
    if (sameShape(held.shape, shape)) return id;
    const shaped = opsOf().reshape(id, shape);
    // The next one that asks will most likely want that shape too.
    if (box.variable === null) {
      const { known, spacing } = box; // of the contents, which are the same
      store.replace(box, opsOf().wrap(shaped, shape, dtype));
      Object.assign(box, { known, spacing });
    }
    return shaped;
  };
}

/** `watch` is told what happens. */
export function createOps(tf: Tfjs, store: BoxStore, products: Products, watch: Watch | null = null): Ops {
  const storage = store.storage as unknown as NativeStorage;
  const { binding } = storage;
  const made = new Set<Id>();
  const uploads = createUploads(binding, watch);
  const { tensor, end } = uploads;
  const { scalar, vector, count, freeConstants } = createConstants(uploads);

  const runMany = createRunner(binding, made, watch);
  const ops: Ops = {
    binding,
    id: createReader(store, storage, watch, () => ops),
    ...createFactors(products, watch !== null, () => ops),
    run: (name, attrs, ...inputs) => runMany(name, attrs, inputs, 1)[0]!,
    runMany,
    scalar,
    vector,
    upload(values, shape) {
      const id = tensor(shape, values instanceof Int32Array ? 'int32' : 'float32', values);
      made.add(id);
      return id;
    },
    uploadEach(from, made) {
      const id = ops.upload(made.make(from), made.shape);
      watch?.fed(id, from, made);
      return id;
    },
    reshape: (x, shape) => ops.run('Reshape', {}, x, ops.vector(shape)),
    // What a box holds already is another's: its contents are shared, not its number.
    put(out, id) {
      const own = made.has(id) ? id : ops.run('Identity', { T: out.dtype }, id);
      watch?.put(out, own);
      store.replace(boxOf(out), ops.wrap(own, out.shape, out.dtype));
    },
    wrap: createWrap(tf, storage, made),
    keep: (id) => (made.delete(id), id),
    adopt: (id) => (made.add(id), id),
    free(id) {
      made.delete(id);
      end(id);
    },
    step(body) {
      if (count() > MOST_CONSTANTS) freeConstants();
      try {
        body();
      } finally {
        made.forEach(end);
        made.clear();
      }
    },
    dispose: freeConstants,
  };
  return ops;
}

/**
 * In an array that TensorFlow copies, because it does not begin where TensorFlow wants it: memory of JavaScript's that it shares is given back on
 * whichever thread lets go of it last, and only one may.
 */
function copied(values: ArrayLike<number>, type: 'int32' | 'float32'): Float32Array | Int32Array {
  const bytes = new ArrayBuffer(4 * values.length + 4);
  const target = type === 'int32' ? new Int32Array(bytes, 4) : new Float32Array(bytes, 4);
  target.set(values);
  return target;
}

/** The addon's exceptions as errors of ours. */
function failed(operation: string, cause: unknown): XMoEError {
  const message = (cause as Error).message?.split('\n')[0] ?? String(cause);
  const memory = /OOM|RESOURCE_EXHAUSTED|TF_Status: 8\b|failed to allocate/i.test(message);
  return new XMoEError(memory ? 'memory' : 'backend', `TensorFlow's ${operation}: ${message.slice(0, 400)}`, {
    op: 'tensorflow', hint: memory ? 'make the batch or the model smaller' : 'shapes and dtypes are as the message says; if the call was right, this is a defect', cause,
  });
}
