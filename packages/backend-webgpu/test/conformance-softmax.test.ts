// Softmax and cross-entropy on this backend: the suite, and its large cases again on a device with small bindings.
import { sizeOf } from '@xmoe/core';
import { testFamily } from './conformance.js';
import { FAMILIES } from './families.js';

const SMALL = 65536;

await testFamily(FAMILIES.softmax, { variants: 'native' });
await testFamily(FAMILIES.softmax, {
  variants: 'native',
  label: 'webgpu in windows',
  backend: { traits: { bindingBytes: SMALL } },
  skip({ operands }) {
    const shapes = Object.values(operands).map(({ shape }) => shape);
    if (shapes.every((shape) => sizeOf(shape) * 4 <= SMALL)) return 'fits without windows';
    return shapes.some((shape) => shape.length > 1 && sizeOf(shape.slice(1)) * 4 > SMALL) ? 'a row is beyond the binding' : undefined;
  },
});
