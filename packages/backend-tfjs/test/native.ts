// Whether TensorFlow's native library can be used here, asked once per test file. `npm run tfjs:native` builds it; continuous integration does.
import { createTfjsBackendFor } from '../src/node.js';

export interface NativeAnswer {
  readonly available: boolean;
  /** What it is, or why there is none. */
  readonly reason: string;
}

/** A skipped test file says why. */
export async function nativeTensorflow(): Promise<NativeAnswer> {
  try {
    const backend = await createTfjsBackendFor('node');
    backend.dispose();
    return { available: true, reason: backend.description };
  } catch (error) {
    const { message, hint } = error as Error & { hint?: string };
    console.warn(`tests of tfjs:node are skipped: ${message}; ${hint ?? ''}`);
    return { available: false, reason: message };
  }
}
