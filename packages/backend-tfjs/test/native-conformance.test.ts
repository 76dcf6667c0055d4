// The conformance suite on TensorFlow's own library, where it is built.
import { describe, expect, it } from 'vitest';
import { runConformance } from '@xmoe/testing';
import { createTfjsBackendFor } from '../src/node.js';
import { nativeTensorflow } from './native.js';

const { available, reason } = await nativeTensorflow();

describe.skipIf(!available)(`on ${reason}`, () => {
  runConformance({ describe, it, expect }, 'tfjs:node', () => createTfjsBackendFor('node'), { dtypes: ['float32', 'int32', 'uint32', 'bool'] });
});
