// Opens the backend that a command names, and puts an engine on it. Which backends there are is the program's to say: this
// package imports none.
import { createEngine, type Backend, type Engine, type EngineOptions, type FloatDType } from '@xmoe/core';
import { bytesOf, type MemoryNeeds } from '@xmoe/models';
import { formatCompact, requirePrecision } from '@xmoe/train';
import { memoryOfMachine } from './memory-needs.js';

/** From the name after --backend to a backend; `openBackend` of @xmoe/backends is one. */
export type BackendOpener = (name: string) => Promise<{ backend: Backend; reason: string }>;

export interface Device {
  engine: Engine;
  /** One line for people. */
  reason: string;
}

export interface DeviceOptions extends EngineOptions {
  precision: FloatDType;
}

/** Names that leave the choice to the program, and what it takes where the fastest cannot hold a training. */
const LEFT_TO_US: readonly string[] = ['auto', 'cpu'];
const ROOMY = 'cpu:plain';

/**
 * As {@link openDevice}. Where the choice is left to the program and what it chose ends below the needs, though the machine does not
 * (WebAssembly holds 4 GiB at most), the plain backend takes its place.
 */
export async function openDeviceWithRoom(openBackend: BackendOpener, name: string, options: DeviceOptions, needs: MemoryNeeds): Promise<Device> {
  const device = await openDevice(openBackend, name, options);
  const { backend } = device.engine;
  const { memoryBytes = Infinity } = backend.capabilities;
  if (!LEFT_TO_US.includes(name) || bytesOf(needs) <= memoryBytes || bytesOf(needs) > memoryOfMachine()) return device;
  device.engine.dispose();
  const { engine } = await openDevice(openBackend, ROOMY, options);
  return { engine, reason: `${engine.backend.description}; slower, but ${backend.name} holds at most ${formatCompact(memoryBytes)}B` };
}

/** What `open` returns; where it throws, the device is closed first. */
export function closingOnError<R>(device: Device, open: () => R): R {
  try {
    return open();
  } catch (error) {
    device.engine.dispose();
    throw error;
  }
}

/** Opens the backend `name`, and refuses a precision that it cannot do. */
export async function openDevice(openBackend: BackendOpener, name: string, { precision, ...options }: DeviceOptions): Promise<Device> {
  const { backend, reason } = await openBackend(name);
  const device = { engine: createEngine(backend, options), reason };
  return closingOnError(device, () => {
    requirePrecision(backend, precision);
    return device;
  });
}
