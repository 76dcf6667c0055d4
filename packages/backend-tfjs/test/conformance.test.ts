// The conformance suite on every way this package runs: wasm and cpu in place, and the kernels of device builds, which
// run here on TensorFlow.js's cpu and wasm builds.
import { describe, expect, it } from 'vitest';
import { runConformance } from '@xmoe/testing';
import { createTfjsBackend } from '@xmoe/backend-tfjs';
import { createTfjsBackendFor, loadTfjs } from '../src/node.js';

const dtypes = ['float32', 'int32', 'uint32', 'bool'] as const;
runConformance({ describe, it, expect }, 'tfjs:wasm', () => createTfjsBackendFor('wasm'), { dtypes });
runConformance({ describe, it, expect }, 'tfjs:cpu', () => createTfjsBackendFor('cpu'), { dtypes });
for (const [build, maxElements] of [['cpu', 20000], ['wasm', 2000]] as const) {
  runConformance(
    { describe, it, expect },
    `device kernels on tfjs ${build}`,
    async () => createTfjsBackend((await loadTfjs({ build })).tf, { backendName: build, mode: 'device' }),
    { dtypes, maxElements },
  );
}
