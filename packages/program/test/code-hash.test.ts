// The hash of a program's code follows every file that is run, of whichever of our packages, and no other. The packages are made for the tests.
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { codeHash } from '../src/code-hash.js';

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'xmoe-code-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function put(path: string, text: string, root = folder): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

const manifest = (name: string, more: object): string => JSON.stringify({ name, exports: { '.': './dist/index.js' }, ...more });

/** A program that needs `first`, which needs `kernels`, as npm lays them out. */
function install(): string {
  put('program/package.json', manifest('program', { dependencies: { '@xmoe/first': '1', commander: '1' }, devDependencies: { '@xmoe/absent': '1' } }));
  put('program/dist/cli.js', 'cli');
  put('node_modules/@xmoe/first/package.json', manifest('@xmoe/first', { files: ['dist'], dependencies: { '@xmoe/kernels': '1' } }));
  put('node_modules/@xmoe/first/dist/index.js', 'first');
  put('node_modules/@xmoe/kernels/package.json', manifest('@xmoe/kernels', { files: ['dist', 'wasm/*.wasm'] }));
  put('node_modules/@xmoe/kernels/dist/index.js', 'kernels');
  put('node_modules/@xmoe/kernels/dist/deep/more.js', 'more');
  put('node_modules/@xmoe/kernels/wasm/kernels.wasm', 'wasm');
  put('node_modules/commander/package.json', manifest('commander', {}));
  put('node_modules/commander/dist/index.js', 'commander');
  return join(folder, 'program/dist/cli.js');
}

it('is the same elsewhere', () => {
  const cli = install();
  const elsewhere = mkdtempSync(join(tmpdir(), 'xmoe-code-'));
  cpSync(folder, elsewhere, { recursive: true });
  try {
    expect(codeHash(cli)).toMatch(/^[0-9a-f]{16}$/);
    expect(codeHash(join(elsewhere, 'program/dist/cli.js'))).toBe(codeHash(cli));
  } finally {
    rmSync(elsewhere, { recursive: true });
  }
});

it.each(['program/dist/cli.js', 'node_modules/@xmoe/first/dist/index.js', 'node_modules/@xmoe/kernels/dist/deep/more.js', 'node_modules/@xmoe/kernels/wasm/kernels.wasm', 'node_modules/@xmoe/first/dist/new.js'])('changes with %s', (path) => {
  const cli = install();
  const before = codeHash(cli);
  put(path, 'another');
  expect(codeHash(cli)).not.toBe(before);
});

it('is that of the script, where it is in no package, and of ours', () => {
  put('alone.mjs', 'one');
  const one = codeHash(join(folder, 'alone.mjs'));
  put('other.mjs', 'beside it');
  expect(codeHash(join(folder, 'alone.mjs'))).toBe(one);
  put('alone.mjs', 'two');
  expect(new Set([one, codeHash(join(folder, 'alone.mjs')), codeHash(undefined)]).size).toBe(3);
});

it.each(['program/dist/node_modules/other/index.js', 'program/src/cli.ts', 'node_modules/@xmoe/first/README.md', 'node_modules/@xmoe/kernels/dist/index.js.map', 'node_modules/commander/dist/index.js'])('does not change with %s', (path) => {
  const cli = install();
  const before = codeHash(cli);
  put(path, 'another');
  expect(codeHash(cli)).toBe(before);
});
