// Norms and activations, row by row, on this backend: the suite, and its large cases again on a device with small bindings.
import { sizeOf } from '@xmoe/core';
import { testFamily } from './conformance.js';
import { FAMILIES } from './families.js';

const SMALL = 2 ** 17;

await testFamily(FAMILIES.rows, { variants: 'native' });
await testFamily(FAMILIES.rows, {
  variants: 'native',
  label: 'webgpu in windows',
  backend: { traits: { bindingBytes: SMALL } },
  skip: ({ operands }) => (Object.values(operands).every(({ shape }) => sizeOf(shape) * 4 <= SMALL) ? 'fits without windows' : undefined),
});
