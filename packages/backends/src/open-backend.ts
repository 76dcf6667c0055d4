// From the name after --backend to a backend, with the reason. Apps, benchmarks and tests open backends here, and nowhere else.
import { createCpuBackend, createWasmBackend } from '@xmoe/backend-cpu';
import { createNativeBackend, libraryUnwanted } from '@xmoe/backend-cpu/node';
import { createTfjsBackendFor } from '@xmoe/backend-tfjs/node';
import { createWebGpuBackend } from '@xmoe/backend-webgpu';
import { nearestName, XMoEError, type Backend } from '@xmoe/core';

/** `auto`, `cpu` and `tfjs` are the fastest of several. */
export type BackendName = 'auto' | 'webgpu' | 'cpu' | 'cpu:native' | 'cpu:wasm' | 'cpu:plain' | 'tfjs' | 'tfjs:cuda' | 'tfjs:node' | 'tfjs:wasm' | 'tfjs:cpu';

/** What opens the backend of a name, or the names of several, fastest first, of which the first that works is taken. */
const BACKENDS = {
  auto: ['webgpu', 'tfjs:cuda', 'cpu:native', 'cpu:wasm', 'tfjs:node', 'tfjs:wasm', 'cpu:plain'],
  webgpu: () => createWebGpuBackend(),
  cpu: ['cpu:native', 'cpu:wasm', 'cpu:plain'],
  'cpu:native': () => createNativeBackend(),
  'cpu:wasm': () => createWasmBackend(),
  'cpu:plain': async () => createCpuBackend(),
  tfjs: ['tfjs:cuda', 'tfjs:node', 'tfjs:wasm'],
  'tfjs:cuda': () => createTfjsBackendFor('cuda'),
  'tfjs:node': () => createTfjsBackendFor('node'),
  'tfjs:wasm': () => createTfjsBackendFor('wasm'),
  'tfjs:cpu': () => createTfjsBackendFor('cpu'),
} as const satisfies Record<BackendName, (() => Promise<Backend>) | readonly string[]>;

export const BACKEND_NAMES = Object.keys(BACKENDS) as BackendName[];

export interface ChosenBackend {
  backend: Backend;
  /** One line: which backend, and why. */
  reason: string;
}

/** The environment variable that names the backend of a deployment, for whoever names none. */
const VARIABLE = 'XMOE_BACKEND';

/** What the environment variable XMOE_BACKEND names; `auto` where it is unset or empty. {@link openBackend} says whether there is such a backend. */
export const defaultBackend = (): string => process.env[VARIABLE] || 'auto';

/**
 * Opens the backend `name`; `auto`, `cpu` and `tfjs` take the fastest that works here. Without a name: that of XMOE_BACKEND, or `auto`.
 * @throws XMoEError `config` where there is no such backend, `backend` where it does not work here
 */
export async function openBackend(name: string = defaultBackend()): Promise<ChosenBackend> {
  if (!isBackendName(name)) {
    const near = nearestName(name, BACKEND_NAMES);
    const where = name === process.env[VARIABLE] ? `${VARIABLE}: ` : '';
    throw new XMoEError('config', `${where}there is no backend ${JSON.stringify(name)}${near ? `, did you mean ${near}?` : ''}`, {
      hint: `one of ${BACKEND_NAMES.join(', ')}`,
    });
  }
  const named = (backend: Backend, why: string): ChosenBackend => ({ backend, reason: `${backend.description}; ${why}` });
  const found = BACKENDS[name];
  if (typeof found === 'function') return named(await found(), 'asked for');
  const absent: string[] = [];
  for (const candidate of found) {
    if (candidate === 'cpu:native' && libraryUnwanted()) continue;
    try {
      const why = absent.length > 0 ? `the fastest here; not available: ${absent.join(', ')} (doctor says why)` : name === 'auto' ? 'the fastest there is' : 'asked for';
      return named(candidate === 'webgpu' ? await openHardware() : await BACKENDS[candidate](), why);
    } catch (error) {
      // A bad setting of the user's is not a missing backend.
      if (error instanceof XMoEError && error.code === 'config') throw error;
      absent.push(candidate + whyNamed(candidate, error));
    }
  }
  throw new XMoEError('backend', `none of ${absent.join(', ')} works here`, { hint: `use --backend ${absent.at(-1)} to see why, or --backend cpu` });
}

/** Whoever names a library wants to know at once why it is not used. */
function whyNamed(candidate: BackendName, error: unknown): string {
  return candidate === 'cpu:native' && process.env.XMOE_BLAS && error instanceof XMoEError ? ` (${error.message.replace(/^cpu:native: /, '')})` : '';
}

/** WebGPU on a GPU. A CPU that plays one is slower than the CPU engine: it is used only when asked for by name. */
const openHardware = (): Promise<Backend> => createWebGpuBackend({ hardwareOnly: true });

function isBackendName(name: string): name is BackendName {
  return Object.hasOwn(BACKENDS, name);
}
