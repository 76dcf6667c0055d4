// From the name after --backend to a backend, with the reason. The only place of this program that knows backends.
import { createCpuBackend } from '@xmoe/backend-cpu';
import { createTfjsBackendFor } from '@xmoe/backend-tfjs/node';
import { nearestName, XMoEError, type Backend } from '@xmoe/core';

export const BACKEND_NAMES = ['auto', 'cpu', 'tfjs', 'tfjs:cuda', 'tfjs:node', 'tfjs:wasm', 'tfjs:cpu'] as const;
export type BackendName = (typeof BACKEND_NAMES)[number];

export interface ChosenBackend {
  backend: Backend;
  /** One line: which backend, and why. */
  reason: string;
}

/** Builds of TensorFlow.js, fastest first. */
const TFJS_BUILDS = ['cuda', 'node', 'wasm'] as const;

/** Opens the backend `name`; `auto` takes the fastest that works here. */
export async function openBackend(name: string): Promise<ChosenBackend> {
  if (!(BACKEND_NAMES as readonly string[]).includes(name)) {
    const near = nearestName(name, BACKEND_NAMES);
    throw new XMoEError('backend', `there is no backend ${JSON.stringify(name)}${near ? `, did you mean ${near}?` : ''}`, {
      hint: `one of ${BACKEND_NAMES.join(', ')}`,
    });
  }
  const named = (backend: Backend, why: string): ChosenBackend => ({ backend, reason: `${backend.description}; ${why}` });
  if (name === 'cpu') return named(createCpuBackend(), 'asked for');
  if (name.startsWith('tfjs:')) return named(await createTfjsBackendFor(name.slice('tfjs:'.length) as 'wasm'), 'asked for');
  const absent: string[] = [];
  for (const build of TFJS_BUILDS) {
    try {
      const why = absent.length > 0 ? `the fastest here; not available: ${absent.join(', ')}` : 'the fastest there is';
      return named(await createTfjsBackendFor(build), why);
    } catch {
      absent.push(`tfjs:${build}`);
    }
  }
  if (name === 'tfjs') throw new XMoEError('backend', 'no TensorFlow.js build works here', { hint: 'use --backend tfjs:wasm to see why, or --backend cpu' });
  return named(createCpuBackend(), `not available: ${absent.join(', ')}`);
}
