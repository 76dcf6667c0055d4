// Element-wise primitives on this backend, and cut into pieces as for operands beyond the largest binding.
import { testFamily } from './conformance.js';

const ELEMENTWISE = ['fill', 'iota', 'random', 'unary', 'binary', 'compare', 'select', 'cast', 'dropout'] as const;

await testFamily(ELEMENTWISE);
await testFamily(ELEMENTWISE, { label: 'webgpu in pieces', variants: 'native', backend: { traits: { bindingBytes: 65536 } } });
