import { bundle } from '../../tsup.base.js';

export default bundle({ index: 'src/index.ts', node: 'src/node.ts' }, { bundled: ['@xmoe/kernels-host'] });
