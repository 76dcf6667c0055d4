// Reductions, scans and the optimiser on this backend; some also with few bindings and tensors beyond the largest one.
import { testFamily } from './conformance.js';
import { FAMILIES } from './families.js';

await testFamily(FAMILIES.reduce);
await testFamily(['sumSquares', 'adamStep', 'reduce', 'argReduce'], {
  label: 'webgpu in pieces', variants: 'native', backend: { traits: { bindingBytes: 65536, maxStorageBuffers: 8 } },
  // A row of a reduction is bound whole.
  skip: ({ primitive, operands: { x } }) => (/^(reduce|argReduce)$/.test(primitive) && x!.shape[1]! * x!.shape[2]! > 4096 ? 'a row, or as many as begin at an offset that may be bound, beyond the largest binding' : undefined),
});
