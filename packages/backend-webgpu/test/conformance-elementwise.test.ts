// Element-wise primitives on this backend.
import { testFamily } from './conformance.js';

await testFamily(['fill'], { variants: 'native' });
