import { program } from '../../tsup.base.js';

export default program({ cli: 'src/cli.ts', program: 'src/program.ts' });
