// `prepack` of every published package: refuses to pack what a build has not made, declarations above all. Builds nothing.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/** The files that `value`, part of an `exports` field, names. */
function namedFiles(value) {
  if (typeof value === 'string') return [value];
  return Object.entries(value ?? {}).flatMap(([condition, inner]) => (condition === '@xmoe/source' ? [] : namedFiles(inner)));
}

/** What the package in `directory` promises its users and does not hold. */
export function missingFiles(directory) {
  const { exports, publishConfig, bin } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'));
  const named = new Set([...namedFiles(exports), ...namedFiles(publishConfig?.exports), ...namedFiles(bin)]);
  return [...named].filter((path) => !path.includes('*') && !existsSync(join(directory, path)));
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const missing = missingFiles(process.cwd());
  if (missing.length > 0) {
    process.stderr.write(`not packed: ${missing.join(', ')} ${missing.length === 1 ? 'is' : 'are'} missing; run "npm run build" in the repository first\n`);
    process.exitCode = 1;
  }
}
