import { bundle } from '../../tsup.base.js';

export default bundle({ index: 'src/index.ts', backend: 'src/backend.ts' });
