// The plan of a routing group, and what moves by it, on this backend; combining also with experts' results beyond the largest binding.
import { testFamily } from './conformance.js';
import { FAMILIES } from './families.js';

await testFamily(FAMILIES.routing, { variants: 'native' });
await testFamily(['combineExperts', 'combineExpertsGrad'], {
  label: 'webgpu in pieces', variants: 'native', backend: { traits: { bindingBytes: 65536 } },
  skip: ({ primitive, operands: { weights } }) => (primitive === 'combineExpertsGrad' && weights!.shape[0]! > 16384 ? 'weights are bound whole' : undefined),
});
