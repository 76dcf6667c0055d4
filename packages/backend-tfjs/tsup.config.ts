import { bundle } from '../../tsup.base.js';

export default bundle({ index: 'src/index.ts', node: 'src/node.ts', native: 'src/native/cli.ts' }, { bundled: ['@xmoe/kernels-host'] });
