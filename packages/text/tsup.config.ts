import { bundle } from '../../tsup.base.js';

export default bundle({ index: 'src/index.ts', node: 'src/node.ts', gpt2: 'src/tokenizers/gpt2.ts' });
