import { bundle } from '../../tsup.base.js';

export default bundle({ index: 'src/index.ts', report: 'src/report/index.ts', process: 'src/process/index.ts' }, { platform: 'node' });
