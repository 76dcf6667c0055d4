// Loads the TensorFlow.js builds in Node and says why one cannot be used. CommonJS entries: their ES modules do not load
// in Node. Not for browsers: there, import your own build and call createTfjsBackend.
import { createRequire } from 'node:module';
import { dirname, sep } from 'node:path';
import { isXMoEError, XMoEError } from '@xmoe/core';
import { createTfjsBackend, type TfjsBackend, type TfjsBackendOptions } from '../backend.js';
import { PACKAGE_VERSION, type NativePackage } from '../native/layout.js';
import type { TfjsBuild } from '../support.js';
import { describeTensorflow } from '../tensorflow/describe.js';
import { PRODUCTS } from '../tensorflow/ops.js';
import type { Tfjs } from '../tfjs-module.js';
import { keepBits } from './keep-bits.js';
import { buildCommand, explainLinking, usableNativeBuild } from './native-library.js';
import { silenceTensorflow, withoutRepeats } from './quiet.js';
import { resolvePackage } from './resolve.js';
import { shimNodeUtil } from './shim.js';
import { showModel } from './show-model.js';

export interface LoadTfjsOptions {
  /** `auto` takes the first that works of cuda, node, wasm, cpu. */
  build?: 'auto' | TfjsBuild;
  /** Directories whose packages come first. Default: the current directory. */
  roots?: readonly string[];
  /** See {@link TfjsBackendOptions.products}; what TensorFlow is told when it is loaded depends on it. Default: what the environment variable XMOE_TFJS_PRODUCTS says, for builds on TensorFlow's own library. */
  readonly products?: TfjsBackendOptions['products'];
}

export type OpenTfjsOptions = Omit<LoadTfjsOptions, 'build'>;

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
  /** The package whose addon is compiled on the spot. */
  readonly native?: NativePackage;
}

const BUILDS: Record<TfjsBuild, BuildInfo> = {
  cuda: { package: '@tensorflow/tfjs-node-gpu', backendName: 'tensorflow', native: 'tfjs-node-gpu' },
  node: { package: '@tensorflow/tfjs-node', backendName: 'tensorflow', native: 'tfjs-node' },
  wasm: { package: '@tensorflow/tfjs-backend-wasm', backendName: 'wasm' },
  cpu: { package: '@tensorflow/tfjs-backend-cpu', backendName: 'cpu' },
};

const PRODUCTS_VARIABLE = 'XMOE_TFJS_PRODUCTS';

const ORDER: readonly TfjsBuild[] = ['cuda', 'node', 'wasm', 'cpu'];

/**
 * Loads a TensorFlow.js build and selects its backend.
 * A native build is the one that xmoe-tfjs-native made, from `roots` upwards, or else the installed package.
 * @throws XMoEError `backend` naming the package, what is wrong and the command to run.
 */
export async function loadTfjs({ build = 'auto', roots = [process.cwd()], products }: LoadTfjsOptions = {}): Promise<LoadedTfjs> {
  if (build !== 'auto') {
    if (!(build in BUILDS)) {
      throw new XMoEError('backend', `there is no TensorFlow.js build '${String(build)}'`, { op: 'loadTfjs', hint: `choose auto, ${ORDER.join(', ')}` });
    }
    return loadBuild(build, roots, products);
  }
  const reasons: string[] = [];
  for (const candidate of ORDER) {
    try {
      const loaded = await loadBuild(candidate, roots, products);
      return { ...loaded, description: [loaded.description, ...reasons].join('; ') };
    } catch (error) {
      if (!isXMoEError(error)) throw error;
      reasons.push(`not ${candidate}: ${error.message.replace(/^loadTfjs: /, '')}`);
    }
  }
  throw new XMoEError('backend', `no TensorFlow.js build works here: ${reasons.join('; ')}`, {
    op: 'loadTfjs',
    hint: `npm install ${BUILDS.wasm.package}@${PACKAGE_VERSION} @tensorflow/tfjs-core@${PACKAGE_VERSION}`,
  });
}

/** {@link loadTfjs}, then {@link createTfjsBackend}. The description says what was chosen and why. */
export async function createTfjsBackendFor(build: 'auto' | TfjsBuild, options: OpenTfjsOptions = {}): Promise<TfjsBackend> {
  const loaded = await loadTfjs({ ...options, build });
  const asked = options.products ?? (BUILDS[loaded.build].native ? productsOf(process.env) : undefined);
  const backend = createTfjsBackend(loaded.tf, { backendName: loaded.backendName, build: loaded.build, showModel, ...(asked ? { products: asked } : {}) });
  return build === 'auto' ? { ...backend, description: `${backend.description}; ${loaded.description}` } : backend;
}

/** @throws XMoEError `config` for another value */
function productsOf(env: NodeJS.ProcessEnv): TfjsBackendOptions['products'] {
  const asked = env[PRODUCTS_VARIABLE];
  if (!asked) return undefined;
  const known = PRODUCTS.find((products) => products === asked);
  if (known) return known;
  throw new XMoEError('config', `${PRODUCTS_VARIABLE} is ${JSON.stringify(asked)}`, { op: 'loadTfjs', hint: PRODUCTS.join(', ') });
}

async function loadBuild(build: TfjsBuild, roots: readonly string[], products: LoadTfjsOptions['products']): Promise<LoadedTfjs> {
  const { package: name, backendName, native } = BUILDS[build];
  const made = native ? usableNativeBuild(native, roots) : null;
  const found = resolvePackage(name, made ? [made.root] : roots);
  if (!found) {
    throw new XMoEError('backend', native ? `${name} is not built here` : `${name} is not installed`, {
      op: 'loadTfjs',
      hint: native ? buildCommand(native) : `npm install ${name}@${PACKAGE_VERSION}`,
    });
  }
  let tf: Tfjs;
  try {
    if (native) {
      shimNodeUtil(createRequire(import.meta.url)('node:util') as Record<string, unknown>);
      silenceTensorflow(process.env);
      keepBits(process.env, products ?? process.env[PRODUCTS_VARIABLE]);
    }
    const main: unknown = withoutRepeats(() => found.require(found.path));
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
  const on = native ? describeTensorflow(tf) : null;
  if (build === 'cuda' && !on?.gpu) {
    throw new XMoEError('backend', `${name} loads${on?.version ? ` TensorFlow ${on.version}` : ''} but finds no GPU`, {
      op: 'loadTfjs',
      hint: 'nvidia-smi shows whether the driver finds one, TF_CPP_MIN_LOG_LEVEL=0 what TensorFlow misses; or use build node or wasm',
    });
  }
  return { tf, build, backendName, description: `TensorFlow.js ${tf.version_core} ${build} from ${made ? made.build.folder : name}${on ? ` on ${on.text}` : ''}` };
}

/** The cpu build advertises tfjs-node on its first use; whoever loads it here has chosen. */
function silenceBanner(tf: Tfjs): void {
  const backend = tf.engine().findBackend('cpu') as unknown as { firstUse?: boolean };
  if (backend.firstUse === true) backend.firstUse = false;
}

function brokenBuild(build: TfjsBuild, cause: unknown): XMoEError {
  const { package: name, native } = BUILDS[build];
  const reason = (cause instanceof Error ? cause.message : String((cause as { message?: unknown })?.message ?? cause)).split('\n')[0];
  const meaning = native && explainLinking(reason);
  return new XMoEError('backend', `${name} is there but does not load: ${meaning ? `${meaning} (${reason})` : reason}`, {
    op: 'loadTfjs',
    hint: native ? `to build it: ${buildCommand(native)}` : `npm install ${name}@${PACKAGE_VERSION}`,
    cause,
  });
}
