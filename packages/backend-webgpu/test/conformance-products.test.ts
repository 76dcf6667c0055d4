// Matrix products on this backend: as they come, and with operands beyond the largest binding.
import { testFamily } from './conformance.js';

await testFamily(['matmul', 'groupedMatmul', 'groupedMatmulWeightGrad', 'groupedLinear', 'groupedLinearWeightGrad'], { variants: 'native' });
