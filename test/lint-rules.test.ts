// Every lint rule that the house relies on fires: a small tree of offending files under this repository's
// configuration. Not a lint of this repository: `npm test -- --only lint` is that.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../', import.meta.url));

/** File → the rule it must break, or none. */
const CASES: Record<string, { text: string; rule?: string }> = {
  'packages/nn/src/c.ts': { text: 'export const a = process.pid;\n', rule: 'eslint(no-restricted-globals)' },
  'apps/nmt/src/b.ts': { text: 'const a = 1;\nexport default a;\n', rule: 'import(no-default-export)' },
  'apps/nmt/vite.config.ts': { text: 'const a = 1;\nexport default a;\n' },
  'apps/nmt/src/c.ts': { text: 'export const a = (b: any) => b;\n', rule: 'typescript(no-explicit-any)' },
  'apps/nmt/src/d.ts': { text: '// @ts-ignore\nexport const a: number = 1;\n', rule: 'typescript(ban-ts-comment)' },
  'apps/nmt/src/f.ts': { text: `export function a() {${'\n'.repeat(70)}}\n`, rule: 'eslint(max-lines-per-function)' },
  'apps/nmt/test/f.test.ts': { text: `export function a() {${'\n'.repeat(70)}}\n` },
  'apps/nmt/src/g.ts': { text: "import { h } from './h.js';\nexport const g = () => h;\n", rule: 'import(no-cycle)' },
  'apps/nmt/src/h.ts': { text: "import { g } from './g.js';\nexport const h = () => g;\n", rule: 'import(no-cycle)' },
  'apps/nmt/test/i.test.ts': {
    text: "import { it, expect } from 'vitest';\nit.only('a', () => { expect(1).toBe(1); });\n", rule: 'vitest(no-focused-tests)',
  },
  'apps/nmt/test/j.test.ts': {
    text: "import { it, expect } from 'vitest';\nit.skip('a', () => { expect(1).toBe(1); });\n", rule: 'vitest(no-disabled-tests)',
  },
};

let tree = '';
let found: { filename: string; code: string }[] = [];

beforeAll(() => {
  tree = mkdtempSync(join(tmpdir(), 'xmoe-lint-'));
  cpSync(join(root, '.oxlintrc.json'), join(tree, '.oxlintrc.json'));
  for (const [path, { text }] of Object.entries(CASES)) {
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    writeFileSync(join(tree, path), text);
  }
  const oxlint = join(root, 'node_modules', 'oxlint', 'bin', 'oxlint');
  found = JSON.parse(outputOf(process.execPath, [oxlint, '--format=json'], tree)).diagnostics;
});

afterAll(() => rmSync(tree, { recursive: true, force: true }));

/** What a command prints; that it fails is the point here. */
function outputOf(command: string, args: string[], cwd: string): string {
  try {
    return execFileSync(command, args, { cwd, encoding: 'utf8' });
  } catch (error) {
    return (error as { stdout: string }).stdout;
  }
}

const rulesBrokenBy = (path: string) =>
  [...new Set(found.filter(({ filename }) => filename.replaceAll('\\', '/') === path).map(({ code }) => code))];

it.each(Object.entries(CASES).filter(([, { rule }]) => rule))('%s is refused', (path, { rule }) => {
  expect(rulesBrokenBy(path)).toContain(rule);
});

it.each(Object.keys(CASES).filter((path) => !CASES[path]!.rule))('%s is accepted', (path) => {
  expect(rulesBrokenBy(path)).toEqual([]);
});
