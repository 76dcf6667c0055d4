// Runs every repository check and prints what is wrong, one line each. The rules themselves are in the files beside it.
import { builtinModules } from 'node:module';
import { root } from '../lib/repository.mjs';
import * as boundaries from './boundaries.mjs';
import { repositoryFiles } from './files.mjs';
import { links } from './links.mjs';
import { references } from './references.mjs';
import * as style from './style.mjs';

const files = repositoryFiles(root);
const builtins = new Set(builtinModules);
const problems = [
  ...Object.values(style).flatMap((check) => check(files)),
  ...references(files),
  ...links(files),
  ...boundaries.imports(files, builtins),
  ...boundaries.browserEntries(files, builtins),
  ...boundaries.manifests(files),
  ...boundaries.uses(files),
];
for (const problem of problems) console.log(problem);
console.log(`${files.length} files checked, ${problems.length} problems`);
process.exitCode = problems.length === 0 ? 0 : 1;
