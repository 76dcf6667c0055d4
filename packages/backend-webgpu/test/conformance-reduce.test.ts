// Reductions and scans on this backend.
import { testFamily } from './conformance.js';

await testFamily(['reduce', 'argReduce', 'cumsum', 'bincount', 'sumSquares'], { variants: 'native' });
await testFamily(['sumSquares'], { label: 'webgpu in pieces', variants: 'native', backend: { traits: { bindingBytes: 65536 } } });
