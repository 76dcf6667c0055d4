import { bundle } from '../../tsup.base.js';

export default bundle({ index: 'src/index.ts', programs: 'src/programs/index.ts' }, { types: false, platform: 'node' });
