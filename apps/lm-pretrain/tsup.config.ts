import { bundle } from '../../tsup.base.js';

export default bundle({ cli: 'src/cli.ts' });
