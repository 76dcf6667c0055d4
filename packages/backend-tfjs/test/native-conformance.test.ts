// The conformance suite on TensorFlow's own library, where it is built: as it runs on the CPU, and with the kernels that a GPU gets, which read
// nothing back that they can do without.
import { describe, expect, it } from 'vitest';
import { runConformance } from '@xmoe/testing';
import { createTfjsBackend } from '@xmoe/backend-tfjs';
import { createTfjsBackendFor, loadTfjs } from '../src/node.js';
import { nativeTensorflow } from './native.js';

const { available, reason } = await nativeTensorflow();
const dtypes = ['float32', 'int32', 'uint32', 'bool'] as const;

describe.skipIf(!available)(`on ${reason}`, () => {
  runConformance({ describe, it, expect }, 'tfjs:node', () => createTfjsBackendFor('node'), { dtypes });
  runConformance(
    { describe, it, expect },
    'the kernels of tfjs:cuda, here on the CPU',
    async () => createTfjsBackend((await loadTfjs({ build: 'node' })).tf, { backendName: 'tensorflow', waits: true }),
    { dtypes },
  );
});
