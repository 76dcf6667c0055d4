// The part of a TensorFlow.js module that this package uses, as types, and the guard for it. No code of TensorFlow.js.
import type * as tfjs from '@tensorflow/tfjs-core';
import { XMoEError } from '@xmoe/core';

/** A TensorFlow.js module: `@tensorflow/tfjs-core`, `@tensorflow/tfjs`, `@tensorflow/tfjs-node` or `@tensorflow/tfjs-node-gpu`. */
export type Tfjs = Pick<
  typeof tfjs,
  'engine' | 'getKernel' | 'getBackend' | 'setBackend' | 'ready' | 'tensor' | 'customGrad' | 'version_core' | 'tidy' | 'keep'
>;

export type TfTensor = tfjs.Tensor;
export type TfTensorInfo = tfjs.TensorInfo;
export type TfDataId = tfjs.DataId;
export type TfDType = 'float32' | 'int32' | 'bool';

/** What all storages of TensorFlow.js share, as far as this package touches it. */
export interface TfStorage {
  readSync(dataId: object): Float32Array | Int32Array | Uint8Array;
  read(dataId: object): Promise<Float32Array | Int32Array | Uint8Array>;
  write(values: ArrayBufferView | null, shape: number[], dtype: TfDType): object;
  refCount(dataId: object): number;
  incRef(dataId: object): void;
}

/** Throws a clear error when `tf` is not a TensorFlow.js module. */
export function assertTfjs(tf: unknown): asserts tf is Tfjs {
  const candidate = tf as Partial<Tfjs> | null | undefined;
  const complete = candidate && typeof candidate.engine === 'function' && typeof candidate.getKernel === 'function';
  if (!complete) {
    throw new XMoEError('backend', 'the first argument is not a TensorFlow.js module', {
      op: 'createTfjsBackend',
      hint: "pass the module itself, e.g. import * as tf from '@tensorflow/tfjs-core' plus a registered backend",
    });
  }
}
