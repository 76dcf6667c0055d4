import { bundle } from '../../tsup.base.js';

export default [bundle({ index: 'src/index.ts' }), bundle({ node: 'src/node.ts' }, { platform: 'node' })];
