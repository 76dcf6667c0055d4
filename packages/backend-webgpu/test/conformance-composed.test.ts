// Fused primitives that have no kernel here: core's fallbacks of them, on this backend.
import { testFamily } from './conformance.js';
import { FAMILIES } from './families.js';

/** Experts in other activations than the richest, and of more rows than one block of a kernel that cuts them. */
const LIKE_ANOTHER = /, (none|relu|gelu-erf), biases|^\[343, 270\]/;

await testFamily(FAMILIES.composed, {
  // A program takes seconds to compile here, and those that a fallback calls are checked one by one in conformance-products.
  skip: ({ label }) => (LIKE_ANOTHER.test(label) ? 'calls what is checked by itself' : undefined),
});
