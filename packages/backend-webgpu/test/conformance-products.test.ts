// Matrix products on this backend: as they come, and with operands beyond the largest binding.
import { testFamily } from './conformance.js';
import { FAMILIES } from './families.js';

await testFamily(FAMILIES.products, { variants: 'native' });
