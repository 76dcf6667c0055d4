// The conformance suite on every way this package runs: wasm and cpu in place, and the kernels of device builds, which
// run here on TensorFlow.js's cpu build.
import { describe, expect, it } from 'vitest';
import { runConformance } from '@xmoe/testing';
import { createTfjsBackend } from '@xmoe/backend-tfjs';
import { createTfjsBackendFor, loadTfjs } from '../src/node.js';

const dtypes = ['float32', 'int32', 'uint32', 'bool'] as const;
runConformance({ describe, it, expect }, 'tfjs:wasm', () => createTfjsBackendFor('wasm'), { dtypes });
runConformance({ describe, it, expect }, 'tfjs:cpu', () => createTfjsBackendFor('cpu'), { dtypes });
runConformance(
  { describe, it, expect },
  'device kernels on tfjs cpu',
  async () => createTfjsBackend((await loadTfjs({ build: 'cpu' })).tf, { backendName: 'cpu', mode: 'device' }),
  { dtypes, maxElements: 20000 },
);
