import { bundle } from '../../tsup.base.js';

export default bundle({ index: 'src/index.ts', reference: 'src/reference/index.ts', 'by-name': 'src/by-name.ts' });
