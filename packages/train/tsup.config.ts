import { bundle } from '../../tsup.base.js';

export default bundle({ index: 'src/index.ts', program: 'src/program/index.ts', process: 'src/process/index.ts' }, { platform: 'node' });
