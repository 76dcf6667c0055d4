// What a native build says of itself: TensorFlow's version, its device, and what that does to float32 products. Loads nothing.
import type { Tfjs } from '../tfjs-module.js';

export interface TensorflowFacts {
  /** As the library reports it; null for a module that does not say. */
  readonly version: string | null;
  readonly gpu: boolean;
  /** One phrase for people. */
  readonly text: string;
}

interface NativeStorage {
  readonly isUsingGpuDevice?: boolean;
  readonly binding?: { readonly TF_Version?: string };
}

/** TensorFlow rounds the factors of float32 products to ten bits of mantissa on GPUs that can, unless the driver is told not to. */
const usesTf32 = (env: NodeJS.ProcessEnv): boolean => env['NVIDIA_TF32_OVERRIDE'] !== '0';

/** `env` is that of the process, where there is one. */
export function describeTensorflow(tf: Pick<Tfjs, 'engine'>, env: NodeJS.ProcessEnv = globalThis.process?.env ?? {}): TensorflowFacts {
  const storage = tf.engine().findBackend('tensorflow') as unknown as NativeStorage | null;
  const version = storage?.binding?.TF_Version ?? null;
  const gpu = storage?.isUsingGpuDevice === true;
  const device = gpu ? `GPU, ${usesTf32(env) ? 'TF32 in products (NVIDIA_TF32_OVERRIDE=0: none)' : 'no TF32'}` : 'CPU';
  return { version, gpu, text: `TensorFlow${version ? ` ${version}` : ''}, ${device}` };
}
