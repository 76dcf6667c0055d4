// Primitives that move elements on this backend, and cut into pieces as for operands beyond the largest binding.
import { testFamily } from './conformance.js';
import { FAMILIES } from './families.js';

await testFamily(FAMILIES.movement);
await testFamily(['slice', 'broadcast', 'concat'], { label: 'webgpu in pieces', backend: { traits: { bindingBytes: 65536 } } });
