// Element-wise primitives on this backend, and cut into pieces as for operands beyond the largest binding.
import { testFamily } from './conformance.js';
import { FAMILIES } from './families.js';

await testFamily(FAMILIES.elementwise);
await testFamily(FAMILIES.elementwise, { label: 'webgpu in pieces', variants: 'native', backend: { traits: { bindingBytes: 65536 } } });
