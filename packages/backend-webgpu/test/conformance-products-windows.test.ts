// Matrix products whose operands are beyond the largest binding, by pretending that it is small. The cases that are: 129 × 131 float32
// and more than 16,384 rows.
import { testFamily } from './conformance.js';
import { FAMILIES } from './families.js';

await testFamily(FAMILIES.products, {
  variants: 'native',
  label: 'webgpu with bindings of 64 KiB',
  backend: { traits: { bindingBytes: 65536 } },
  skip: (item) => (Object.values(item.operands).some(({ shape, dtype }) => shape.reduce((product, size) => product * size, 1) * (dtype === 'float16' ? 2 : 4) > 65536) ? undefined : 'fits'),
});
