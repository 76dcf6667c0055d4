// What differs between Node and browsers: reading the compiled files, the switches of the compiler, counting cores, starting a
// worker. Built-in modules of Node are imported only where there is Node.
import { XMoEError } from '@xmoe/core';

/** A started worker, as little as the team needs. */
export interface PlatformWorker {
  /** Called at most once, with why: the worker ended although nobody asked it to. */
  onDeath(listener: (reason: string) => void): void;
  /** Settles when the worker's code has begun. */
  readonly ready: Promise<void>;
  stop(): void;
}

interface NodeProcess {
  readonly arch: string;
  readonly platform: string;
  readonly pid: number;
  readonly argv: readonly string[];
  readonly execPath: string;
  readonly execArgv: readonly string[];
  readonly versions?: { readonly node?: string; readonly v8?: string };
  readonly env: Record<string, string | undefined>;
  readonly stdout: { write(text: string): void };
}

const host = globalThis as { process?: NodeProcess; crossOriginIsolated?: boolean; navigator?: { hardwareConcurrency?: number } };
const inNode = typeof host.process?.versions?.node === 'string';

/** The process, in Node. */
export const nodeProcess = inNode ? (host.process as Required<NodeProcess>) : undefined;

/** The parts of Node's modules that are used here. Named by value, so that no bundler for browsers looks for them. */
interface NodeModules {
  'node:fs/promises': {
    readFile(url: URL): Promise<Uint8Array>;
    readFile(path: string, encoding: 'utf8'): Promise<string>;
    writeFile(path: string, text: string): Promise<void>;
    mkdir(path: string, options: { recursive: true }): Promise<unknown>;
    rename(from: string, to: string): Promise<void>;
    rm(path: string, options: { force: true }): Promise<void>;
  };
  'node:child_process': {
    execFile(program: string, args: readonly string[], options: object, ended: (error: ChildFailure | null, output: string, errors: string) => void): void;
  };
  'node:crypto': { createHash(name: 'sha256'): Hash };
  'node:path': { basename(path: string): string; join(...parts: string[]): string };
  'node:url': { fileURLToPath(url: URL): string };
  'node:v8': { setFlagsFromString(flags: string): void };
  'node:os': { availableParallelism(): number; cpus(): readonly { readonly model: string }[]; homedir(): string };
  'node:worker_threads': { Worker: new (code: string, options: object) => NodeWorker };
}

interface Hash {
  update(data: string | Uint8Array): Hash;
  digest(encoding: 'hex'): string;
}

/** What a child that did not end well left: its exit status, or a word where it did not start, and the signal that ended it. */
export interface ChildFailure extends Error {
  readonly code?: number | string | null;
  readonly signal?: string | null;
  /** Whether its time was over. */
  readonly killed?: boolean;
}

interface NodeWorker {
  once(event: 'message', listener: () => void): void;
  once(event: 'error', listener: (error: Error) => void): void;
  once(event: 'exit', listener: (status: number) => void): void;
  postMessage(data: object): void;
  terminate(): Promise<number>;
  unref(): void;
}

export async function nodeModule<Name extends keyof NodeModules>(name: Name): Promise<NodeModules[Name]> {
  return (await import(/* @vite-ignore */ /* webpackIgnore: true */ name)) as NodeModules[Name];
}

export async function readBinary(url: URL): Promise<Uint8Array> {
  if (inNode && url.protocol === 'file:') {
    const { readFile } = await nodeModule('node:fs/promises');
    return readFile(url);
  }
  const response = await fetch(url);
  if (!response.ok) throw new XMoEError('backend', `${url.href} answers ${response.status}`, { op: 'cpu:wasm', hint: 'serve the .wasm files beside the script' });
  return new Uint8Array(await response.arrayBuffer());
}

/** Sets switches of V8, which belong to the whole process. Ready to be called in one go with what they are for. */
export async function v8Switches(): Promise<(flags: readonly string[]) => void> {
  const { setFlagsFromString } = await nodeModule('node:v8');
  return (flags) => flags.forEach((flag) => setFlagsFromString(flag));
}

/** Node 20 has relaxed SIMD behind a flag. Only where it does not validate: newer ones do not know the flag, and say so on stderr. */
export async function enableRelaxedSimd(): Promise<void> {
  if (inNode) (await v8Switches())(['--experimental-wasm-relaxed-simd']);
}

/** Threads that the machine runs at once, where workers may share memory with this one; otherwise 1. */
export async function availableThreads(): Promise<number> {
  if (inNode) return (await nodeModule('node:os')).availableParallelism();
  return host.crossOriginIsolated ? (host.navigator?.hardwareConcurrency ?? 1) : 1;
}

/** The text of an environment variable; none in browsers. */
export function environment(name: string): string | undefined {
  return inNode ? host.process?.env[name] : undefined;
}

/** Whether this thread may sleep in Atomics.wait: not the main thread of a page. */
export function mayBlock(): boolean {
  return inNode || !('document' in globalThis);
}

/** Runs `code` (a classic script) in a worker that has received `data`. It does not keep the process alive. */
export async function startWorker(code: string, data: object): Promise<PlatformWorker> {
  return inNode ? startNodeWorker(code, data) : startBrowserWorker(code, data);
}

async function startNodeWorker(code: string, data: object): Promise<PlatformWorker> {
  const name = 'node:worker_threads';
  const { Worker } = await nodeModule(name);
  const worker = new Worker(`const { parentPort: port } = require(${JSON.stringify(name)});\n${code}`, {
    eval: true, execArgv: [], env: {}, stdin: false, name: 'xmoe-cpu',
  });
  const death = deathOf(worker.terminate.bind(worker));
  worker.once('error', (error: Error) => death.happened(error.message));
  worker.once('exit', (status) => death.happened(`exit status ${status}`));
  const ready = new Promise<void>((resolve, reject) => {
    worker.once('message', () => resolve());
    worker.once('error', reject);
    worker.once('exit', () => reject(new Error('it ended at once')));
  });
  worker.postMessage(data);
  return { ready: ready.finally(() => worker.unref()), ...death.handle };
}

interface BrowserWorker {
  onmessage: (() => void) | null;
  onerror: ((event: { message?: string }) => void) | null;
  postMessage(data: object): void;
  terminate(): void;
}

async function startBrowserWorker(code: string, data: object): Promise<PlatformWorker> {
  if (host.crossOriginIsolated === false) {
    throw new XMoEError('backend', 'this page may not share memory with workers: it is not cross-origin isolated', {
      op: 'cpu:wasm',
      hint: 'serve it with Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp, or give threads: 1',
    });
  }
  const { Worker } = globalThis as unknown as { Worker: new (url: string, options: { name: string }) => BrowserWorker };
  const url = URL.createObjectURL(new Blob([`const port = self;\n${code}`], { type: 'text/javascript' }));
  const worker = new Worker(url, { name: 'xmoe-cpu' });
  const death = deathOf(() => worker.terminate());
  const ready = new Promise<void>((resolve, reject) => {
    worker.onmessage = () => resolve();
    worker.onerror = (event) => {
      reject(new Error(event.message ?? 'it did not load'));
      death.happened(event.message ?? 'an error');
    };
  });
  worker.postMessage(data);
  return { ready: ready.finally(() => URL.revokeObjectURL(url)), ...death.handle };
}

/** Tells an end that was asked for from one that was not. */
function deathOf(end: () => unknown) {
  let listener: ((reason: string) => void) | undefined;
  let reasonBefore: string | undefined;
  let stopped = false;
  return {
    happened(reason: string): void {
      if (stopped) return;
      stopped = true;
      if (listener) listener(reason);
      else reasonBefore = reason;
    },
    handle: {
      onDeath(given: (reason: string) => void): void {
        listener = given;
        if (reasonBefore !== undefined) given(reasonBefore);
      },
      stop(): void {
        stopped = true;
        void end();
      },
    },
  };
}
