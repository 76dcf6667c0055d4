// Fused primitives that have no kernel here: core's fallbacks of them, on this backend.
import { testFamily } from './conformance.js';
import { FAMILIES } from './families.js';

await testFamily(FAMILIES.composed);
