// Loads the TensorFlow.js builds in Node and says why one cannot be used. CommonJS entries: their ES modules do not load
// in Node. Not for browsers: there, import your own build and call createTfjsBackend.
import { createRequire } from 'node:module';
import { dirname, sep } from 'node:path';
import { isXMoEError, XMoEError } from '@xmoe/core';
import { createTfjsBackend, type TfjsBackend } from '../backend.js';
import type { TfjsBuild } from '../support.js';
import type { Tfjs } from '../tfjs-module.js';
import { resolvePackage } from './resolve.js';
import { shimNodeUtil } from './shim.js';

export interface LoadTfjsOptions {
  /** `auto` takes the first that works of cuda, node, wasm, cpu. */
  build?: 'auto' | TfjsBuild;
  /** Directories whose packages come first. Default: the current directory. */
  roots?: readonly string[];
}

export interface LoadedTfjs {
  readonly tf: Tfjs;
  readonly build: TfjsBuild;
  /** The name of the backend in TensorFlow.js: `tensorflow`, `wasm` or `cpu`. */
  readonly backendName: string;
  /** One line: what was loaded and, for `auto`, why not the ones before it. */
  readonly description: string;
}

interface BuildInfo {
  readonly package: string;
  readonly backendName: string;
  readonly needs: string;
}

const BUILDS: Record<TfjsBuild, BuildInfo> = {
  cuda: { package: '@tensorflow/tfjs-node-gpu', backendName: 'tensorflow', needs: 'TensorFlow 2.9.1, CUDA 11.2, cuDNN 8.1, an NVIDIA GPU' },
  node: { package: '@tensorflow/tfjs-node', backendName: 'tensorflow', needs: 'TensorFlow 2.9.1' },
  wasm: { package: '@tensorflow/tfjs-backend-wasm', backendName: 'wasm', needs: 'WebAssembly' },
  cpu: { package: '@tensorflow/tfjs-backend-cpu', backendName: 'cpu', needs: 'nothing more' },
};

const ORDER: readonly TfjsBuild[] = ['cuda', 'node', 'wasm', 'cpu'];
const VERSION = '4.22.0';

/**
 * Loads a TensorFlow.js build and selects its backend.
 * @throws XMoEError `backend` naming the package, the versions it needs and the command to run.
 */
export async function loadTfjs({ build = 'auto', roots = [process.cwd()] }: LoadTfjsOptions = {}): Promise<LoadedTfjs> {
  if (build !== 'auto') {
    if (!(build in BUILDS)) {
      throw new XMoEError('backend', `there is no TensorFlow.js build '${String(build)}'`, { op: 'loadTfjs', hint: `choose auto, ${ORDER.join(', ')}` });
    }
    return loadBuild(build, roots);
  }
  const reasons: string[] = [];
  for (const candidate of ORDER) {
    try {
      const loaded = await loadBuild(candidate, roots);
      return { ...loaded, description: [loaded.description, ...reasons].join('; ') };
    } catch (error) {
      if (!isXMoEError(error)) throw error;
      reasons.push(`not ${candidate}: ${error.message.replace(/^loadTfjs: /, '')}`);
    }
  }
  throw new XMoEError('backend', `no TensorFlow.js build works here: ${reasons.join('; ')}`, {
    op: 'loadTfjs',
    hint: `npm install ${BUILDS.wasm.package}@${VERSION} @tensorflow/tfjs-core@${VERSION}`,
  });
}

/** {@link loadTfjs}, then {@link createTfjsBackend}. The description says what was chosen and why. */
export async function createTfjsBackendFor(build: 'auto' | TfjsBuild, options: Omit<LoadTfjsOptions, 'build'> = {}): Promise<TfjsBackend> {
  const loaded = await loadTfjs({ ...options, build });
  const backend = createTfjsBackend(loaded.tf, { backendName: loaded.backendName, build: loaded.build });
  return build === 'auto' ? { ...backend, description: `${backend.description}; ${loaded.description}` } : backend;
}

async function loadBuild(build: TfjsBuild, roots: readonly string[]): Promise<LoadedTfjs> {
  const { package: name, backendName, needs } = BUILDS[build];
  const found = resolvePackage(name, roots);
  if (!found) {
    throw new XMoEError('backend', `${name} is not installed (it needs ${needs})`, {
      op: 'loadTfjs',
      hint: `npm install ${name}@${VERSION}`,
    });
  }
  const native = backendName === 'tensorflow';
  let tf: Tfjs;
  try {
    if (native) shimNodeUtil(createRequire(import.meta.url)('node:util') as Record<string, unknown>);
    const main: unknown = found.require(found.path);
    // The plain builds register themselves with the tfjs-core that they see; tfjs-node is a whole tf by itself.
    tf = (native ? main : found.require('@tensorflow/tfjs-core')) as Tfjs;
    if (build === 'wasm' && !('wasm' in tf.engine().registry)) {
      (main as { setWasmPaths(path: string): void }).setWasmPaths(dirname(found.path) + sep);
    }
    if (!(await tf.setBackend(backendName))) throw new Error(`its backend '${backendName}' did not start`);
    await tf.ready();
    if (build === 'cpu') silenceBanner(tf);
  } catch (cause) {
    throw brokenBuild(build, cause);
  }
  if (build === 'cuda' && !usesGpu(tf)) {
    throw new XMoEError('backend', `${name} loads but finds no GPU (it needs ${needs})`, {
      op: 'loadTfjs',
      hint: 'check nvidia-smi and that libcudart.so.11.0 and libcudnn.so.8 are on LD_LIBRARY_PATH, or use build node or wasm',
    });
  }
  return { tf, build, backendName, description: `TensorFlow.js ${tf.version_core} ${build} from ${name}` };
}

/** The cpu build advertises tfjs-node on its first use; whoever loads it here has chosen. */
function silenceBanner(tf: Tfjs): void {
  const backend = tf.engine().findBackend('cpu') as unknown as { firstUse?: boolean };
  if (backend.firstUse === true) backend.firstUse = false;
}

function usesGpu(tf: Tfjs): boolean {
  const backend = tf.engine().findBackend('tensorflow') as unknown as { isUsingGpuDevice?: boolean } | null;
  return backend?.isUsingGpuDevice === true;
}

function brokenBuild(build: TfjsBuild, cause: unknown): XMoEError {
  const { package: name, needs } = BUILDS[build];
  const reason = (cause instanceof Error ? cause.message : String((cause as { message?: unknown })?.message ?? cause)).split('\n')[0];
  const rebuild = `npm rebuild ${name} (pnpm: allow its install script with pnpm approve-builds, then pnpm rebuild ${name})`;
  return new XMoEError('backend', `${name} is installed but does not load (it needs ${needs}): ${reason}`, {
    op: 'loadTfjs',
    hint: BUILDS[build].backendName === 'tensorflow' ? rebuild : `npm install ${name}@${VERSION}`,
    cause,
  });
}
