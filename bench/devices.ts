// The backends under measurement: the ones asked for, or all that work here.
import { createEngine, isXMoEError } from '@xmoe/core';
import { openBackend } from '../apps/lm-pretrain/src/backends.js';
import type { Device } from './forward-backward.js';

/** Not tfjs:cpu: the TensorFlow.js build that is slower than our own plain loops. */
const CANDIDATES = ['cpu', 'tfjs:wasm', 'tfjs:node', 'tfjs:cuda'];

export interface Devices {
  readonly devices: readonly Device[];
  /** `name: why not` of candidates that nobody asked for by name. */
  readonly absent: readonly string[];
}

/** @throws XMoEError `backend` when a backend that was asked for is unknown or does not work here */
export async function openDevices(names: readonly string[] | null): Promise<Devices> {
  const devices: Device[] = [];
  const absent: string[] = [];
  for (const name of names ?? CANDIDATES) {
    try {
      const { backend } = await openBackend(name);
      devices.push({ name: backend.name, engine: createEngine(backend) });
    } catch (error) {
      if (names !== null || !isXMoEError(error)) throw error;
      absent.push(`${name} (${error.message.replace(/^loadTfjs: /, '')})`);
    }
  }
  return { devices, absent };
}
