// koffi, which calls native functions: an optional dependency, loaded where a launcher started this process and not before.
import { realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { XMoEError } from '@xmoe/core';

/** A native function. Typed arrays stand for pointers, an array of one number for what it writes. */
export type NativeFunction = (...values: readonly unknown[]) => number;

/** A loaded library. Both members throw where it has no such name. */
export interface MpiLibrary {
  func(declaration: string): NativeFunction;
  /** The address of a variable. */
  symbol(name: string): bigint;
}

export interface MpiCaller {
  /** File that a worker loads it from. */
  readonly file: string;
  load(library: string): MpiLibrary;
}

/** @throws XMoEError `backend` where it is not installed or has nothing for this system */
export function loadMpiCaller(): MpiCaller {
  const require = createRequire(import.meta.url);
  try {
    // It looks for its other half beside where it really lies, which a loader of sources may not say.
    const file = realpathSync(require.resolve('koffi'));
    const { load } = require(file) as { load(library: string, options: object): MpiLibrary };
    return { file, load: (name) => pinned(name, load(name, { global: true })) }; // what Open MPI loads looks for its names in the whole process
  } catch (cause) {
    throw new XMoEError('backend', 'the npm package koffi, which calls MPI, does not load here', { op: 'mpi', hint: 'npm install koffi', cause });
  }
}

/** RTLD_NOW, RTLD_GLOBAL and RTLD_NODELETE. */
const STAY = process.platform === 'darwin' ? 0x2 | 0x8 | 0x80 : 0x2 | 0x100 | 0x1000;

/**
 * koffi unloads its libraries as the process ends. What MPI loaded itself (UCX) then runs code that is gone: Open MPI ended in a segmentation
 * fault after all was done.
 */
function pinned(name: string, library: MpiLibrary): MpiLibrary {
  library.func('void *dlopen(const char *, int)')(name, STAY);
  return library;
}
