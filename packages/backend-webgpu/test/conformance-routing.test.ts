// The plan of a routing group, and what moves by it, on this backend.
import { testFamily } from './conformance.js';

await testFamily(['dispatchClaims', 'combineExperts', 'combineExpertsGrad', 'expertsGrad'], { variants: 'native' });
