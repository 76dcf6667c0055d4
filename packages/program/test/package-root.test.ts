// The package folder is found from a source file, from a deeper one and from the bundle. Not a test of the presets.
import { readFileSync } from 'node:fs';
import { join, parse } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, it } from 'vitest';
import { packageRoot } from '../src/package-root.js';

const root = packageRoot(import.meta.url);

it('finds the package of this test', () => {
  expect(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).name).toBe('@xmoe/program');
});

it.each(['src/cli.ts', 'src/presets/load.ts', 'dist/cli.js'])('finds the same folder from %s', (path) => {
  expect(packageRoot(pathToFileURL(join(root, path)).href)).toBe(root);
});

it('says where it looked when there is none', () => {
  const lost = pathToFileURL(join(parse(root).root, 'nowhere', 'cli.js')).href;
  expect(() => packageRoot(lost)).toThrow(/no package\.json at or above .*nowhere/);
});
