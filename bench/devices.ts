// The backends under measurement: the ones asked for, or all that work here.
import { createWasmBackend } from '@xmoe/backend-cpu';
import { createEngine, isXMoEError, XMoEError, type Backend } from '@xmoe/core';
import { openBackend } from '@xmoe/backends';
import type { Device } from './forward-backward.js';

/** Not the slow ones: cpu:plain, the readable oracle, and tfjs:cpu, slower still. */
const CANDIDATES = ['cpu:native', 'cpu:wasm', 'tfjs:wasm', 'tfjs:node', 'tfjs:cuda'];

export interface Devices {
  readonly devices: readonly Device[];
  /** `name: why not` of candidates that nobody asked for by name. */
  readonly absent: readonly string[];
}

/** What --peers needs: our CPU engine, and the TensorFlow.js adapter where it loads. */
export async function openPeerDevices(): Promise<Devices> {
  const { devices: [cpu] } = await openDevices(['cpu']);
  try {
    const { devices: [tfjs] } = await openDevices(['tfjs:wasm']);
    return { devices: [cpu, tfjs], absent: [] };
  } catch (error) {
    if (!isXMoEError(error)) throw error;
    return { devices: [cpu], absent: [] }; // named with its peer
  }
}

/** Variants of the CPU engine beside each other, in one process: switches of the compiler are off again before anything is measured. */
const VARIANTS: Readonly<Record<string, 'revectorized' | 'relaxed'>> = { 'cpu:revectorized': 'revectorized', 'cpu:relaxed': 'relaxed' };

async function openVariant(name: string): Promise<Backend> {
  const backend = await createWasmBackend({ variant: VARIANTS[name] });
  if (!backend.description.includes('not re-vectorised')) return { ...backend, name };
  backend.dispose();
  throw new XMoEError('backend', `${name} would be ${backend.description}`, { op: 'bench', hint: 'it takes Node from 23.5 on, on x64' });
}

/** @throws XMoEError `backend` when a backend that was asked for is unknown or does not work here */
export async function openDevices(names: readonly string[] | null): Promise<Devices> {
  const devices: Device[] = [];
  const absent: string[] = [];
  for (const name of names ?? CANDIDATES) {
    try {
      const backend = name in VARIANTS ? await openVariant(name) : (await openBackend(name)).backend;
      // The plain backend calls itself cpu, which as a name of --backend means the best of this package.
      devices.push({ name: backend.name === 'cpu' ? 'cpu:plain' : backend.name, engine: createEngine(backend) });
    } catch (error) {
      if (names !== null || !isXMoEError(error)) throw error;
      absent.push(`${name} (${error.message.replace(/^loadTfjs: /, '')})`);
    }
  }
  return { devices, absent };
}
