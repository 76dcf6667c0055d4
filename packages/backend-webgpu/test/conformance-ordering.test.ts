// Ordering and the selection of choices on this backend, and the rows of matrices in windows as for those beyond the largest binding.
import { testFamily } from './conformance.js';
import { FAMILIES } from './families.js';

await testFamily(FAMILIES.ordering, { variants: 'native' });
await testFamily(['topK', 'thresholdSelect'], {
  variants: 'native',
  label: 'webgpu in windows',
  backend: { traits: { bindingBytes: 2 ** 18 + 2 ** 12 } },
  skip: ({ label }) => (label.includes('50257') ? 'windows begin at multiples of 64 such rows' : undefined),
});
