// `test` of every workspace package: runs the tests below the folder it is started in, under the settings of the repository. Other arguments
// go to vitest. Nothing is installed or built.
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { root } from './lib/repository.mjs';

const vitest = join(dirname(createRequire(import.meta.url).resolve('vitest/package.json')), 'vitest.mjs');
// With the separator: packages/backends is not packages/backends-more.
const folder = join(process.cwd(), '/');
const { status } = spawnSync(process.execPath, [vitest, 'run', '--root', root, '--passWithNoTests', folder, ...process.argv.slice(2)], { stdio: 'inherit' });
process.exitCode = status ?? 1;
