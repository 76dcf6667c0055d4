// Calls of public TensorFlow.js kernels for builds whose memory is on a device: names, shapes, disposal. No primitives.
import { sizeOf, XMoEError, type Operand, type OperandField } from '@xmoe/core';
import { sameShape } from '@xmoe/core/backend';
import { boxOf, type BoxStore } from '../box.js';
import type { TfTensor, TfTensorInfo, Tfjs } from '../tfjs-module.js';

type Attributes = Record<string, unknown>;
type Inputs = Record<string, TfTensor> | TfTensor[];

export interface NativeCalls {
  /** The operand as a tensor of its own shape. It stays the box's. */
  tensor(operand: Operand): TfTensor;
  /** Runs a kernel that gives one tensor, freed at the end of `step` unless `put`. */
  run(kernel: string, inputs: Inputs, attributes?: Attributes): TfTensor;
  runMany(kernel: string, inputs: Inputs, attributes?: Attributes): TfTensor[];
  /** int32 or float32 scalar, or list, freed as the results of `run`. */
  constant(values: readonly number[], dtype: 'int32' | 'float32', shape?: readonly number[]): TfTensor;
  reshape(x: TfTensor, shape: readonly number[]): TfTensor;
  /** Makes `tensor` the contents of `out`. */
  put(out: Operand, tensor: TfTensor): void;
  /** Runs `body` and frees what it made. */
  step(body: () => void): void;
}

export function createNativeCalls(tf: Tfjs, backendName: string, store: BoxStore): NativeCalls {
  const engine = tf.engine();
  const made = new Set<TfTensor>();

  const runMany: NativeCalls['runMany'] = (kernel, inputs, attributes = {}) => {
    const config = tf.getKernel(kernel, backendName);
    if (!config) {
      throw new XMoEError('backend', `TensorFlow.js ${tf.version_core} ${backendName} has no kernel ${kernel}`, {
        op: kernel,
        hint: 'use another build, or import the package that registers its kernels',
      });
    }
    // The tensorflow backend makes its tensors on the selected backend; switching to one that has started is immediate.
    if (backendName === 'tensorflow' && engine.backendName !== backendName) void engine.setBackend(backendName);
    const results = config.kernelFunc({ inputs: inputs as never, attrs: attributes as never, backend: store.storage });
    return (Array.isArray(results) ? results : [results]).map((result: TfTensorInfo) => {
      const tensor = 'rank' in result ? (result as TfTensor) : engine.makeTensorFromTensorInfo(result, store.storage as never);
      made.add(engine.keep(tensor));
      return tensor;
    });
  };
  const run: NativeCalls['run'] = (kernel, inputs, attributes) => runMany(kernel, inputs, attributes)[0];
  const take = (tensor: TfTensor): TfTensor => {
    made.delete(tensor);
    return tensor;
  };

  return {
    run,
    runMany,
    tensor(operand) {
      const box = boxOf(operand);
      const held = store.tensorOf(box);
      if (sameShape(held.shape, operand.shape)) return held;
      store.replace(box, take(run('Reshape', { x: held }, { shape: [...operand.shape] })));
      return box.tensor!;
    },
    constant(values, dtype, shape = [values.length]) {
      const array = dtype === 'int32' ? Int32Array.from(values) : Float32Array.from(values);
      const tensor = store.make(array, values.length, dtype);
      made.add(tensor);
      return shape.length === 1 ? tensor : run('Reshape', { x: tensor }, { shape: [...shape] });
    },
    reshape: (x, shape) => run('Reshape', { x }, { shape: [...shape] }),
    put: (out, tensor) => store.replace(boxOf(out), take(tensor)),
    step(body) {
      try {
        body();
      } finally {
        for (const tensor of made) tensor.dispose();
        made.clear();
      }
    },
  };
}

/** Whether an operand cannot go to a TensorFlow.js kernel: uint32 lives on the host, and many kernels refuse size 0. */
export function needsHost(field: OperandField): boolean {
  if (field === null) return false;
  return 'buffer' in field ? field.dtype === 'uint32' || sizeOf(field.shape) === 0 : field.some(needsHost);
}
