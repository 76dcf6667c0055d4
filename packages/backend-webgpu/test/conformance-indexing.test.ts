// Primitives that read or add at indices on this backend, and cut into pieces as for operands beyond the largest binding.
import { testFamily } from './conformance.js';
import { FAMILIES } from './families.js';

await testFamily(FAMILIES.indexing);
await testFamily(FAMILIES.indexing, { label: 'webgpu in pieces', backend: { traits: { bindingBytes: 65536 } } });
