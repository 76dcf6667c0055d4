// koffi, which calls native functions: an optional dependency, loaded when a library is looked for and not before.
import { realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { XMoEError } from '@xmoe/core';

/** A loaded library. `func` throws where it has no such function. */
export interface NativeLibrary {
  func(declaration: string): (...values: readonly unknown[]) => unknown;
  unload(): void;
}

/** What of koffi is used. */
export interface NativeCaller {
  /** File that a worker loads it from. */
  readonly file: string;
  load(library: string): NativeLibrary;
  /** Where the bytes of a view lie. */
  address(view: Uint8Array): bigint;
}

/** Error `backend` where it is not installed or has nothing for this system. */
export function loadCaller(): NativeCaller {
  const require = createRequire(import.meta.url);
  try {
    // It looks for its other half beside where it really lies, which a loader of sources may not say.
    const file = realpathSync(require.resolve('koffi'));
    const { load, address } = require(file) as Omit<NativeCaller, 'file'>;
    return { file, load, address };
  } catch (cause) {
    throw new XMoEError('backend', 'the npm package koffi, which calls native libraries, does not load here', {
      op: 'cpu:native', hint: 'npm install koffi; --backend cpu:wasm needs none of it', cause,
    });
  }
}
