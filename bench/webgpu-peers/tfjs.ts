// The TensorFlow.js WebGPU backend on the adapter that ours uses, through our TensorFlow.js adapter. It was made for pages:
// in Node it finds WebGPU where a page has it, and cannot read synchronously.
import { createRequire } from 'node:module';
import { createTfjsBackend, type Tfjs } from '@xmoe/backend-tfjs';
import { openGpu } from '@xmoe/backend-webgpu';
import { createEngine, XMoEError } from '@xmoe/core';
import type { Device } from '../forward-backward.js';

const PACKAGE = '@tensorflow/tfjs-backend-webgpu';

/** @throws XMoEError `backend` when it is not installed or does not start */
export async function openTfjsWebGpu(): Promise<Device> {
  try {
    // Both are looked at when the package is loaded.
    const gpu = await openGpu();
    const page = (globalThis as { navigator?: object }).navigator ?? { userAgent: 'node' };
    if (!('gpu' in page)) Object.defineProperty(page, 'gpu', { value: gpu, configurable: true });
    if (!('navigator' in globalThis)) Object.defineProperty(globalThis, 'navigator', { value: page, configurable: true });
    const require = createRequire(import.meta.url);
    const path = require.resolve(PACKAGE);
    require(path);
    // The very copy of tfjs-core that the backend registered itself with.
    const tf = createRequire(path)('@tensorflow/tfjs-core') as Tfjs;
    if (!(await tf.setBackend('webgpu'))) throw new Error('its backend did not start');
    await tf.ready();
    const backend = { ...createTfjsBackend(tf, { backendName: 'webgpu', build: 'webgpu' }), readSync: undefined };
    return { name: backend.name, engine: createEngine(backend) };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.split('\n')[0] : String(cause);
    throw new XMoEError('backend', `TensorFlow.js webgpu (${reason})`, { op: 'bench', cause });
  }
}
