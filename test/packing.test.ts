// Declarations survive a build without them, and nothing is packed without them: on a small package that is built as ours are.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { capture } from '../scripts/lib/child.mjs';
import { publicPackages } from '../scripts/lib/repository.mjs';
import { pnpm } from '../scripts/lib/toolchain.mjs';
import { missingFiles } from '../scripts/prepack.mjs';

const root = fileURLToPath(new URL('../', import.meta.url));
mkdirSync(join(root, '.xmoe'), { recursive: true });
// Two folders deep, as packages are: the same paths lead to what they share.
const directory = mkdtempSync(join(root, '.xmoe', 'packing-'));
/** Where the package finds what all share. */
const shared = (path: string): string => relative(directory, join(root, path)).replaceAll('\\', '/');
const dist = (name: string): string => join(directory, 'dist', name);
afterAll(() => rmSync(directory, { recursive: true, force: true }));

async function build(...flags: string[]): Promise<void> {
  const { code, output } = await capture(process.execPath, [join(root, 'scripts', 'build-package.mjs'), ...flags], { cwd: directory });
  expect(code, output).toBe(0);
}

beforeAll(async () => {
  const types = { types: './dist/index.d.ts', default: './dist/index.js' };
  const manifest = {
    name: '@xmoe/packing-test', version: '1.0.0', type: 'module', files: ['dist'],
    exports: { '.': { '@xmoe/source': './src/index.ts', ...types } }, publishConfig: { exports: { '.': types } },
    scripts: { prepack: `node ${shared('scripts/prepack.mjs')}` },
  };
  writeFileSync(join(directory, 'package.json'), JSON.stringify(manifest));
  writeFileSync(join(directory, 'tsconfig.json'), JSON.stringify({ extends: shared('tsconfig.base.json'), include: ['src'] }));
  mkdirSync(join(directory, 'src'));
  writeFileSync(join(directory, 'src', 'index.ts'), 'export const first: number = 1;\n');
  await build('--types');
}, 120_000);

describe('a build', () => {
  it('without declarations leaves those that are there; one with them replaces all', async () => {
    expect(readFileSync(dist('index.d.ts'), 'utf8')).toContain('first');
    writeFileSync(join(directory, 'src', 'index.ts'), 'export const second: number = 2;\n');
    writeFileSync(dist('old.js'), '');
    writeFileSync(dist('old.d.ts'), '');
    await build();
    expect(readFileSync(dist('index.js'), 'utf8')).toContain('second');
    expect(existsSync(dist('index.d.ts'))).toBe(true);
    expect(existsSync(dist('old.js'))).toBe(false);
    await build('--types');
    expect(readFileSync(dist('index.d.ts'), 'utf8')).toContain('second');
    expect(existsSync(dist('old.d.ts'))).toBe(false);
  });

  it('with declarations is refused where a package that they are derived from has none', async () => {
    const [manifest, below] = [join(directory, 'package.json'), join(directory, 'node_modules', '@xmoe', 'below')];
    const before = readFileSync(manifest, 'utf8');
    mkdirSync(below, { recursive: true });
    writeFileSync(join(below, 'package.json'), JSON.stringify({ name: '@xmoe/below', exports: { '.': { types: './dist/index.d.ts', default: './dist/index.js' } } }));
    writeFileSync(manifest, JSON.stringify({ ...JSON.parse(before), dependencies: { '@xmoe/below': '1.0.0' } }));
    const { code, output } = await capture(process.execPath, [join(root, 'scripts', 'build-package.mjs'), '--types'], { cwd: directory });
    writeFileSync(manifest, before);
    rmSync(join(directory, 'node_modules'), { recursive: true });
    expect(output).toContain('@xmoe/below has no ./dist/index.d.ts: build it first');
    expect(code).toBe(1);
    expect(readFileSync(dist('index.d.ts'), 'utf8')).toContain('second');
  });
});

describe('packing', () => {
  const pack = () => pnpm(['--dir', directory, 'pack', '--pack-destination', directory]);

  it('is refused where a file that is promised is missing, and works where none is', async () => {
    rmSync(dist('index.d.ts'));
    expect(missingFiles(directory)).toEqual(['./dist/index.d.ts']);
    const { code, output } = await pack();
    expect(code, output).not.toBe(0);
    expect(output).toContain('not packed: ./dist/index.d.ts is missing');
    expect(existsSync(join(directory, 'xmoe-packing-test-1.0.0.tgz'))).toBe(false);
    await build('--types');
    expect(missingFiles(directory)).toEqual([]);
    const packed = await pack();
    expect(packed.code, packed.output).toBe(0);
    expect(existsSync(join(directory, 'xmoe-packing-test-1.0.0.tgz'))).toBe(true);
  });

  it('is so guarded in every published package', () => {
    for (const { manifest } of publicPackages()) expect(manifest.scripts.prepack, manifest.name).toMatch(/^node .*scripts\/prepack\.mjs$/);
  });
});
