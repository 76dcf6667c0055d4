// Primitives that read or add at indices on this backend, and cut into pieces as for operands beyond the largest binding.
import { testFamily } from './conformance.js';

await testFamily(['gatherRows', 'scatterAddRows', 'takeAlongLast', 'addAlongLast']);
await testFamily(['gatherRows', 'scatterAddRows', 'takeAlongLast', 'addAlongLast'], { label: 'webgpu in pieces', backend: { traits: { bindingBytes: 65536 } } });
