import { bundle } from '../../tsup.base.js';

export default bundle({ index: 'src/index.ts', node: 'src/node.ts', presets: 'src/presets/index.ts', sections: 'src/sections/index.ts' });
