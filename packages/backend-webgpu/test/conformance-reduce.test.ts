// Reductions, scans and the optimiser on this backend; the optimiser also with few bindings and tensors beyond the largest one.
import { testFamily } from './conformance.js';

await testFamily(['reduce', 'argReduce', 'cumsum', 'bincount', 'sumSquares', 'adamStep']);
await testFamily(['sumSquares', 'adamStep'], {
  label: 'webgpu in pieces', variants: 'native', backend: { traits: { bindingBytes: 65536, maxStorageBuffers: 8 } },
});
