// createTfjsBackend: puts storage, memory access and kernels together for one registered backend of a TensorFlow.js module.
import { isXMoEError, XMoEError, type Backend, type BackendKernels, type Operand, type TensorData } from '@xmoe/core';
import { boxOf, createBoxStore, MOST_KNOWN, roomyArray, type BoxStore, type HostArray } from './box.js';
import { hostDispatch, hostKernels } from './kernels/host.js';
import { nativeKernels } from './kernels/native.js';
import { cpuTable, wasmTable } from './kernels/tables.js';
import { createWasmContext } from './kernels/wasm-context.js';
import { createCopyMemory, createResidentMemory, type Memory } from './memory.js';
import type { TfjsBuild } from './support.js';
import { describeTensorflow } from './tensorflow/describe.js';
import { rememberingSpacing, tensorflowKernels, type TensorflowKernels } from './tensorflow/kernels.js';
import { PRODUCTS, type Products } from './tensorflow/ops.js';
import type { ShowModel } from './tensorflow/recorder.js';
import { assertTfjs, type TfStorage, type Tfjs } from './tfjs-module.js';
import { openWasmHeap } from './wasm-heap.js';

export interface TfjsBackendOptions {
  /** A backend registered with `tf` and initialised: `cpu`, `wasm`, `tensorflow`, … Default: the one `tf` uses now. */
  backendName?: string;
  /** How the build is called in names and messages. Default: from `backendName` (`tensorflow` is `node`). */
  build?: TfjsBuild | string;
  /**
   * `resident`: host loops and SIMD calls in place on the build's memory (cpu and wasm only); `device`: the public kernels
   * of TensorFlow.js, for builds whose memory is elsewhere. Default: `resident` where possible.
   */
  mode?: 'resident' | 'device';
  /**
   * On TensorFlow's own library: whether reading a tensor makes the host wait for a device, so that kernels must do without. Default: on a GPU.
   */
  waits?: boolean;
  /**
   * On TensorFlow's own library: `bfloat16` or `float16` rounds the factors of large products to it and their results once more; tensors stay float32, and so do a
   * router's products. Several times as fast where the processor or GPU has units for it. In float16 what is beyond 65,504 becomes infinite, and what is below
   * 3e-8 is lost. Default `float32`.
   */
  products?: Products;
  /**
   * On TensorFlow's own library on a CPU: shows a recorded step to TensorFlow, which takes a graph from a folder only. Without it steps are not recorded.
   * Default: none here, a temporary folder in `createTfjsBackendFor`.
   */
  showModel?: ShowModel;
}

/** The Backend with its TensorFlow.js side, for interop. */
export interface TfjsBackend extends Backend {
  readonly tf: Tfjs;
  readonly backendName: string;
  /** @internal */
  readonly store: BoxStore;
}

/**
 * The xmoe contract on any TensorFlow.js build. `tf` is your own module with an initialised backend (`await tf.ready()`).
 * Several may live side by side, whichever backend `tf` has selected.
 * @throws XMoEError `backend` when `tf` is not TensorFlow.js or the backend is missing or not ready.
 */
export function createTfjsBackend(tf: Tfjs, options: TfjsBackendOptions = {}): TfjsBackend {
  assertTfjs(tf);
  const backendName = options.backendName ?? tf.getBackend();
  const storage = findStorage(tf, backendName);
  const build = options.build ?? (backendName === 'tensorflow' ? 'node' : backendName);
  const store = createBoxStore(tf, storage);
  const { kernels, memory, recording, detail, library, release } = chooseKernels(tf, backendName, store, options);
  const readNow = (operand: Operand): TensorData => {
    recording?.refuse('a tensor is read by the host');
    const box = boxOf(operand);
    if (box.words) return box.words.slice();
    return store.storage.readSync(store.tensorOf(box).dataId).slice();
  };
  return {
    tf,
    backendName,
    store,
    name: `tfjs:${build}`,
    description: `TensorFlow.js ${tf.version_core} ${build} (${detail})`,
    ...(library === undefined ? {} : { library }),
    capabilities: { float16: false, maxBufferBytes: 2 ** 31 - 4 },
    kernels,
    allocate: store.allocate,
    free: store.free,
    write(operand, data) {
      recording?.refuse('a tensor is written by the host');
      writeBox(store, memory, operand, data);
    },
    async read(operand) {
      recording?.refuse('a tensor is read by the host');
      const box = boxOf(operand);
      if (box.words) return box.words.slice();
      return (await store.storage.read(store.tensorOf(box).dataId)).slice();
    },
    readSync: readNow,
    ...(recording ? { record: recording.record } : {}),
    memory: () => ({ bytes: store.bytes() }),
    dispose() {
      if (store.disposeAll()) release();
    },
  };
}

/** In place where the memory is seen from here: then writing needs no room. */
function writeBox(store: BoxStore, memory: Memory | undefined, operand: Operand, data: ArrayLike<number>): void {
  const box = boxOf(operand);
  const put = (target: HostArray): void => {
    if (box.dtype === 'bool') for (let i = 0; i < box.length; i++) target[i] = data[i] !== 0 ? 1 : 0; // NaN is not 0
    else target.set(data);
  };
  if (box.words) return put(box.words);
  if (memory) return memory.run([operand], [], ([target]) => put(target));
  const values = roomyArray(box.dtype, box.length);
  put(values);
  store.replace(box, store.make(values, box.length, box.dtype));
  if (box.dtype === 'float32' && box.length <= MOST_KNOWN) box.known = Float32Array.from(data);
}

function findStorage(tf: Tfjs, backendName: string): TfStorage {
  let found: unknown;
  try {
    found = backendName ? tf.engine().findBackend(backendName) : null;
  } catch (error) {
    if (isXMoEError(error)) throw error;
    found = null; // findBackend starts a backend that needs waiting for, and says so by throwing
  }
  if (!found) {
    throw new XMoEError('backend', `TensorFlow.js has no initialised backend '${backendName || 'none'}'`, {
      op: 'createTfjsBackend',
      hint: `import its package, then: await tf.setBackend('${backendName || 'wasm'}'); await tf.ready()`,
    });
  }
  return found as TfStorage;
}

function requireProducts(backendName: string, products: Products): void {
  const known = PRODUCTS.includes(products);
  if (known && (products === 'float32' || backendName === 'tensorflow')) return;
  throw new XMoEError(known ? 'backend' : 'config', known ? `the TensorFlow.js backend '${backendName}' has no products in ${products}` : `there are no products in ${JSON.stringify(products)}`, {
    op: 'createTfjsBackend', hint: known ? 'TensorFlow\'s own library has: builds node and cuda' : PRODUCTS.join(', '),
  });
}

interface Choice {
  readonly kernels: BackendKernels;
  /** Where contents can be written in place. */
  readonly memory?: Memory;
  readonly recording?: TensorflowKernels['recording'];
  readonly detail: string;
  /** On what the last bits of results depend. */
  readonly library?: string;
  release(): void;
}

function chooseKernels(tf: Tfjs, backendName: string, store: BoxStore, { mode, waits, products = 'float32', showModel }: TfjsBackendOptions): Choice {
  const nothing = (): void => {};
  requireProducts(backendName, products);
  if (mode !== 'device' && backendName === 'wasm') {
    const heap = openWasmHeap(tf);
    if (heap) {
      const memory = createResidentMemory(store, heap.view);
      const context = createWasmContext(store, heap);
      return { kernels: wasmTable(hostKernels(memory), context, store, memory), memory, detail: 'SIMD kernels on the heap', release: heap.dispose };
    }
  }
  if (mode !== 'device' && backendName === 'cpu') {
    const data = (store.storage as unknown as { data?: { get(dataId: object): { values: Float32Array } } }).data;
    if (data) {
      const memory = createResidentMemory(store, (dataId) => data.get(dataId).values);
      return { kernels: cpuTable(hostKernels(memory), store, memory), memory, detail: 'host kernels in place', release: nothing };
    }
  }
  if (mode === 'resident') {
    throw new XMoEError('backend', `the memory of the TensorFlow.js backend '${backendName}' cannot be reached in place`, {
      op: 'createTfjsBackend',
      hint: "leave out mode, or pass mode: 'device'",
    });
  }
  const memory = createCopyMemory(store);
  const host = hostKernels(memory);
  if (backendName === 'tensorflow') {
    const { text, gpu } = describeTensorflow(tf);
    const { kernels, recording, dispose } = tensorflowKernels(tf, store, rememberingSpacing(hostDispatch(memory)), host, { waits: waits ?? gpu, products, showModel });
    const detail = products === 'float32' ? text : `${text}, products in ${products}`;
    return { kernels, recording, detail, library: detail, release: dispose };
  }
  return { kernels: nativeKernels(tf, backendName, store, host), detail: 'TensorFlow.js kernels', release: nothing };
}
