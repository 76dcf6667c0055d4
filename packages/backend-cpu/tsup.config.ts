import { bundle } from '../../tsup.base.js';

export default bundle({ index: 'src/index.ts' }, { bundled: ['@xmoe/kernels-host'] });
