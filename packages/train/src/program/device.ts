// Opens the backend that a command names, and puts an engine on it. Which backends there are is the program's to say: this
// package imports none.
import { createEngine, XMoEError, type Backend, type Engine, type EngineOptions, type FloatDType } from '@xmoe/core';

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

/** Opens the backend `name`, and refuses a precision that it cannot do. */
export async function openDevice(openBackend: BackendOpener, name: string, { precision, ...options }: DeviceOptions): Promise<Device> {
  const { backend, reason } = await openBackend(name);
  if (precision === 'float16' && !backend.capabilities.float16) {
    backend.dispose();
    throw new XMoEError('backend', `${backend.name} has no float16`, { hint: 'use --set train.precision=float32, or --backend cpu' });
  }
  return { engine: createEngine(backend, options), reason };
}
