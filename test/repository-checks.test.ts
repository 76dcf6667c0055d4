// Every repository check fires on what it forbids and stays silent on what it allows. Not a check of this repository:
// scripts/checks/main.mjs is that.
import { readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { describe, expect, it } from 'vitest';
import { browserEntries, imports, manifests, specifiers, TABLE, uses } from '../scripts/checks/boundaries.mjs';
import { links } from '../scripts/checks/links.mjs';
import { references } from '../scripts/checks/references.mjs';
import { firstComments, names, noDrawers, noLeftovers, sizes } from '../scripts/checks/style.mjs';

const file = (path: string, text = '// A file.\n') => [{ path, text }];
// Put together here so that this file itself passes the checks.
const up = (levels: number) => '../'.repeat(levels);
const builtins = new Set(builtinModules);

describe('style', () => {
  it('wants kebab-case names of files and folders', () => {
    expect(names(file('packages/core/src/topK.ts'))).toHaveLength(1);
    expect(names(file('packages/core/src/Kernels/top-k.ts'))).toHaveLength(1);
    expect(names(file('packages/core/src/top-k.test-d.ts'))).toEqual([]);
  });

  it('wants no drawer for everything', () => {
    expect(noDrawers(file('packages/core/src/utils.ts'))).toHaveLength(1);
    expect(noDrawers(file('packages/core/src/shape.ts'))).toEqual([]);
  });

  it('counts lines up to 400', () => {
    const lines = (count: number) => `${'x\n'.repeat(count)}`;
    expect(sizes(file('a.wgsl', lines(401)))).toEqual(['a.wgsl: 401 lines, at most 400']);
    expect(sizes(file('a.wgsl', lines(400)))).toEqual([]);
    expect(sizes(file('numbers.json', lines(401)))).toEqual([]);
  });

  it('wants a first comment, below a shebang if there is one', () => {
    expect(firstComments(file('a.ts', 'export const a = 1; // late\n'))).toHaveLength(1);
    expect(firstComments(file('a.mjs', '#!/usr/bin/env node\nrun();\n'))).toHaveLength(1);
    expect(firstComments(file('a.mjs', '#!/usr/bin/env node\n// Runs.\n'))).toEqual([]);
    expect(firstComments(file('a.ts', '/** Runs. */\n'))).toEqual([]);
  });

  it('finds leftovers with their line', () => {
    expect(noLeftovers(file('a.ts', `// A.\n// ${'TO'}DO later\n`))).toEqual(['a.ts:2: finish it or open an issue']);
    expect(noLeftovers(file('a.ts', `${'<'.repeat(7)} mine\n`))).toHaveLength(1);
  });
});

describe('links', () => {
  const page = (text: string) => links([{ path: 'docs/a.md', text }, { path: 'docs/faq.md', text: '# Why `a.b`, and *how*?\n```\n# no heading\n```\n## Twice\n## Twice\n' }]);

  it.each([
    ['a page that is not there', '[x](nowhere.md)'],
    ['a page named from the root', '[x](docs/glossary.md)'],
    ['a heading that is not there', '[x](faq.md#no-heading)'],
    ['a heading of its own that is not there', '# Here\n[x](#there)'],
    ['one beside a good one', '[x](glossary.md) [y](nowhere.md)'],
  ])('refuse %s', (_, text) => expect(page(text)).toHaveLength(1));

  it.each([
    ['the web', '[x](https://example.org/a.md#b)'],
    ['a file, a folder, the root', '[x](glossary.md) [y](decisions/) [z](../README.md)'],
    ['a heading', '[x](faq.md#why-ab-and-how) [y](faq.md#twice-1)'],
    ['what stands for itself', 'as `[x](nowhere.md)`\n```md\n[x](nowhere.md)\n```\n'],
  ])('allow %s', (_, text) => expect(page(text)).toEqual([]));
});

describe('references', () => {
  const path = 'packages/core/src/a.ts';
  it.each([
    ['an absolute path', `see /${'home'}/someone/notes`],
    ['a private address', `http${'://'}10.0.0.7/x`],
    ['a one-word host', `http${'://'}mirror/npm`],
    ['an internal host', `https${'://'}git.example.internal/x`],
    ['a registry', `https${'://'}registry.example.org/x`],
    ['a registry setting', `registry${'='}https${'://'}example.org`],
    ['a path out of the repository', `${up(4)}notes/x`],
  ])('refuses %s', (_, text) => {
    expect(references(file(path, text))).toHaveLength(1);
  });

  it.each([
    ['a public link', 'https://aclanthology.org/2024.findings-acl.694'],
    ['this machine', 'http://127.0.0.1:8080/ and http://localhost:3000'],
    ['a path inside the repository', `import '${up(2)}vitest.config.js'`],
    ['a path that only begins alike', `node_modules/${'home'}/x and apps/${'work'}/y and ./${'root'}/z`],
  ])('allows %s', (_, text) => {
    expect(references(file(path, text))).toEqual([]);
  });
});

describe('boundaries', () => {
  const importing = (folder: string, specifier: string) =>
    imports(file(`${folder}/src/a.ts`, `import { a } from '${specifier}';\n`), builtins);

  it.each([
    ['packages/core', '@xmoe/routers'], ['packages/core', 'zod'], ['packages/core', 'node:fs'], ['packages/core', 'fs'],
    ['packages/routers', '@xmoe/moe'], ['packages/routers', '@xmoe/backend-cpu'],
    ['packages/moe', '@xmoe/nn'], ['packages/moe', '@xmoe/testing'], ['packages/moe', `${up(2)}core/src/shape.js`],
    ['packages/nn', '@xmoe/moe'], ['packages/nn', 'node:path'],
    ['packages/train', '@xmoe/moe'], ['packages/train', '@xmoe/backend-cpu'],
    ['packages/backend-cpu', '@xmoe/nn'], ['packages/backend-cpu', 'koffi'], ['packages/kernels-host', 'node:os'],
    ['packages/train', '@xmoe/text'], ['packages/files', '@xmoe/nn'], ['packages/text', '@xmoe/nn'],
    ['packages/backend-tfjs', '@xmoe/backend-cpu'],
    ['packages/unheard-of', '@xmoe/core'],
  ])('%s may not import %s', (folder, specifier) => {
    expect(importing(folder, specifier)).toHaveLength(1);
  });

  it.each([
    ['packages/core', './shape.js'], ['packages/routers', '@xmoe/core'], ['packages/moe', '@xmoe/routers/reference'],
    ['packages/train', 'node:fs/promises'], ['packages/train', 'zod'], ['packages/backend-tfjs', '@tensorflow/tfjs-core'],
    ['packages/testing', '@xmoe/backend-tfjs'], ['apps/lm-pretrain', '@xmoe/backend-cpu'],
  ])('%s may import %s', (folder, specifier) => {
    expect(importing(folder, specifier)).toEqual([]);
  });

  it('sees every form of import, over several lines too, but no comment and no prose', () => {
    const text = `import {\n  a,\n} from 'a';\nimport 'b';\nexport * from 'c';\nawait import('d');\nrequire('e');\n` +
      `// import { x } from 'x';\n/* import 'y' */\nconst message = "take it from 'z'";\n`;
    expect(specifiers(text).sort()).toEqual(['a', 'b', 'c', 'd', 'e']);
  });

  it('compares manifests with the table and with what is imported', () => {
    const manifest = (dependencies: object) =>
      file('packages/nn/package.json', JSON.stringify({ name: '@xmoe/nn', dependencies }));
    const source = file('packages/nn/src/a.ts', "import { a } from '@xmoe/core';\n");
    expect(manifests([...manifest({ '@xmoe/core': 'workspace:*' }), ...source])).toEqual([]);
    expect(manifests([...manifest({}), ...source])).toEqual(
      ['packages/nn/package.json: @xmoe/core is imported but not a dependency']);
    expect(manifests(manifest({ '@xmoe/moe': 'workspace:*' }))).toHaveLength(1);
    expect(manifests(manifest({ lodash: '^4.0.0' }))).toHaveLength(1);
  });

  it('lets a build take in the private host kernels, where the manifest says so', () => {
    const manifest = (more: object) => file('packages/backend-cpu/package.json', JSON.stringify({ name: '@xmoe/backend-cpu', ...more }));
    const source = file('packages/backend-cpu/src/a.ts', "import { floats } from '@xmoe/kernels-host';\n");
    expect(manifests([...manifest({ devDependencies: { '@xmoe/kernels-host': 'workspace:*' } }), ...source])).toEqual([]);
    expect(manifests([...manifest({}), ...source])).toEqual(['packages/backend-cpu/package.json: @xmoe/kernels-host is imported but not a dependency']);
  });

  it('wants what tests use declared, in the manifest or where a dependency would be a circle', () => {
    const manifest = (name: string, more: object = {}) => file(`packages/${name}/package.json`, JSON.stringify({ name: `@xmoe/${name}`, ...more }));
    const tests = [
      ...file('packages/nn/test/a.test.ts', "import { a } from '@xmoe/backend-cpu';\n"),
      ...file('packages/nn/test/b/b.test.ts', `import { b } from '${up(3)}core/test/b.js';\n`),
    ];
    const core = manifest('core');
    expect(uses([...core, ...manifest('nn'), ...tests])).toEqual([
      'packages/nn/package.json: @xmoe/backend-cpu is used outside src but neither a dependency nor in packages/nn/turbo.json',
      'packages/nn/package.json: @xmoe/core is used outside src but neither a dependency nor in packages/nn/turbo.json',
    ]);
    const task = file('packages/nn/turbo.json', JSON.stringify({ tasks: { 'tests-use': { dependsOn: ['@xmoe/backend-cpu#sources'] } } }));
    expect(uses([...core, ...manifest('nn', { devDependencies: { '@xmoe/core': 'workspace:*' } }), ...task, ...tests])).toEqual([]);
  });
});

it('the linter refuses the globals of Node where the table refuses its modules', () => {
  const config = readFileSync(new URL('../.oxlintrc.json', import.meta.url), 'utf8');
  const [, listed] = /"packages\/\{([^}]*)\}\/src\/\*\*"\],\s*"rules": \{\s*"eslint\/no-restricted-globals"/.exec(config)!;
  const browser = Object.entries(TABLE).filter(([, { node }]) => !node).map(([folder]) => folder.replace('packages/', ''));
  for (const name of browser) expect(listed!.split(',')).toContain(name);
});

describe('browser entries', () => {
  const manifest = (name: string, entries: Record<string, string>) => ({
    path: `packages/${name}/package.json`,
    text: JSON.stringify({ exports: Object.fromEntries(Object.entries(entries).map(([entry, source]) => [entry, { '@xmoe/source': `./src/${source}.ts` }])) }),
  });
  const tree = (sources: Record<string, string>) => [
    manifest('files', { '.': 'index', './node': 'node' }), manifest('text', { '.': 'index', './gpt2': 'gpt2' }), manifest('train', { '.': 'index' }),
    ...Object.entries(sources).map(([path, text]) => ({ path: `packages/${path}.ts`, text })),
  ];

  it('reach no module of Node, through however many files and packages', () => {
    const files = tree({
      'text/src/index': "export { a } from './a.js';", 'text/src/a': "import { b } from '@xmoe/files';\nexport const a = b;",
      'files/src/index': "export { b } from './b.js';", 'files/src/b': "import { readFile } from 'node:fs';\nexport const b = readFile;",
    });
    expect(browserEntries(files, builtins)).toContain(
      'packages/files/src/b.ts: imports node:fs, imported through packages/text/src/index.ts → packages/text/src/a.ts → packages/files/src/index.ts: browsers load it');
  });

  it('load nothing of Node later either, and use none of its globals', () => {
    expect(browserEntries(tree({ 'train/src/index': "export const a = () => import('fs');" }), builtins)).toHaveLength(1);
    expect(browserEntries(tree({ 'train/src/index': 'export const a = Buffer.alloc(1);' }), builtins)).toHaveLength(1);
    expect(browserEntries(tree({ 'train/src/index': 'export const a = () => process.pid;' }), builtins)).toHaveLength(1);
  });

  it('may name types of what they do not load, and leave Node to other entries', () => {
    const files = tree({
      'train/src/index': "import type { A } from './a.js';\nexport type B = A;", 'train/src/a': "import { readFile } from 'node:fs';\nexport type A = typeof readFile;",
      'files/src/node': "export { readFile } from 'node:fs';",
    });
    expect(browserEntries(files, builtins)).toEqual([]);
  });

  it('are there', () => {
    expect(browserEntries([manifest('text', { '.': 'index' })], builtins)).toEqual(['packages/text/package.json: no entry ./gpt2, which browsers load']);
  });
});
