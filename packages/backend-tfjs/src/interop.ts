// Between xmoe and TensorFlow.js: fromTf, toTf, and asTfOp, which makes an xmoe function a differentiable tf op. Data is
// shared where both sides use the same build; a shared tensor is never written in place afterwards.
import { type Tensor, vjp, XMoEError, type Backend, type Engine, type Operand } from '@xmoe/core';
import type { TfjsBackend } from './backend.js';
import { boxOf, tfDType } from './box.js';
import type { TfTensor } from './tfjs-module.js';

function asTfjsBackend(backend: Backend, op: string): TfjsBackend {
  if ('store' in backend && 'tf' in backend) return backend as TfjsBackend;
  throw new XMoEError('backend', `the engine runs on ${backend.name}, not on TensorFlow.js`, {
    op,
    hint: 'make the engine with createEngine(createTfjsBackend(tf))',
  });
}

/**
 * The contents of a tf.Tensor (float32, int32 or bool) as an xmoe tensor of the same shape, owned by the engine's current
 * scope; given a backend instead of an engine, as a plain operand whose buffer you free. No copy when `x` lives on the
 * backend's build. `x` stays yours and may be disposed.
 * @throws XMoEError `dtype` for string and complex64 tensors, `backend` for an engine on another kind of backend.
 */
export function fromTf(engine: Engine, x: TfTensor): Tensor;
export function fromTf(backend: TfjsBackend, x: TfTensor): Operand;
export function fromTf(target: Engine | TfjsBackend, x: TfTensor): Tensor | Operand {
  const engine = 'backend' in target ? target : undefined;
  const backend = asTfjsBackend(engine ? engine.backend : (target as TfjsBackend), 'fromTf');
  const { dtype } = x;
  if (dtype !== 'float32' && dtype !== 'int32' && dtype !== 'bool') {
    throw new XMoEError('dtype', `xmoe has no ${dtype} tensors`, { op: 'fromTf', hint: 'cast to float32, int32 or bool first' });
  }
  const { store, tf } = backend;
  const isOurs = store.storage.refCount(x.dataId) > 0;
  if (isOurs) store.storage.incRef(x.dataId);
  const buffer = store.hold(
    isOurs
      ? tf.engine().makeTensorFromTensorInfo({ dataId: x.dataId, shape: x.shape, dtype }, store.storage as never)
      : store.make((x.dataSync() as Float32Array | Int32Array | Uint8Array).slice(), x.size, dtype),
    dtype,
  );
  buffer.exposed = isOurs;
  const shape = [...x.shape];
  return engine ? engine.adopt(buffer, shape, dtype) : { buffer, shape, dtype };
}

/**
 * An xmoe tensor (or an operand of `backend`) as a tf.Tensor of the same shape that you dispose (or a tf.tidy does). No copy.
 * @throws XMoEError `dtype` for uint32, `backend` when the tensor is not on TensorFlow.js.
 */
export function toTf(x: Tensor): TfTensor;
export function toTf(x: Operand, backend: TfjsBackend): TfTensor;
export function toTf(x: Tensor | Operand, backend?: TfjsBackend): TfTensor {
  const owner = backend ?? asTfjsBackend((x as Tensor).engine.backend, 'toTf');
  const { store, tf } = owner;
  const dtype = tfDType(x.dtype);
  const box = boxOf(x);
  const held = store.tensorOf(box);
  box.exposed = true;
  const shape = [...x.shape];
  // TensorFlow's own handles carry their shape: there an alias is made by its Reshape.
  if (owner.backendName === 'tensorflow') return tf.engine().runKernel('Reshape', { x: held }, { shape }) as TfTensor;
  store.storage.incRef(held.dataId);
  return tf.engine().makeTensorFromTensorInfo({ dataId: held.dataId, shape, dtype }, store.storage as never);
}

/**
 * Makes `fn`, a function of xmoe tensors on `engine`, an op for tf.Tensors that tf.grad and optimizers differentiate. The
 * backward pass runs `fn` again (tf tells nobody when a tape is dropped, so nothing is kept between the passes); `fn`
 * must be a pure function of its inputs, random numbers by key included. The gradient of an int32 input is zero.
 */
export function asTfOp(engine: Engine, fn: (...inputs: Tensor[]) => Tensor): (...inputs: TfTensor[]) => TfTensor {
  const { tf } = asTfjsBackend(engine.backend, 'asTfOp');
  return tf.customGrad((...args: unknown[]) => {
    const save = args[args.length - 1] as (tensors: TfTensor[]) => void;
    const inputs = args.slice(0, -1) as TfTensor[];
    save(inputs);
    return {
      value: run(engine, inputs, (tensors) => [fn(...tensors)])[0],
      gradFunc: (dy: TfTensor, saved: TfTensor[]) =>
        run(engine, [...saved, dy], (tensors) => {
          const upstream = tensors[tensors.length - 1];
          const { output, pullback, dispose } = vjp(engine, fn, tensors.slice(0, -1));
          const gradients = pullback(upstream);
          dispose();
          output.dispose();
          return gradients;
        }),
    };
  }) as (...inputs: TfTensor[]) => TfTensor;
}

/** Runs `body` on xmoe views of tf tensors and gives tf views of the results; frees everything of xmoe. */
function run(engine: Engine, inputs: readonly TfTensor[], body: (tensors: Tensor[]) => readonly Tensor[]): TfTensor[] {
  const views: TfTensor[] = [];
  engine.scope(() => {
    for (const result of body(inputs.map((input) => fromTf(engine, input)))) views.push(toTf(result));
    return undefined;
  });
  return views;
}
