// The code in the documentation runs. Every JavaScript and TypeScript block is executed, and every shell block that calls
// an example; a JSON block right after either must be what it printed, and so must be the comments `// → …` of lines that print. All
// TypeScript is type-checked strictly. A block marked `fragment` (```ts fragment) needs more than there is everywhere, and is not
// run. Blocks that install, clone or start the app are not run here.
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { capture } from '../scripts/lib/child.mjs';
import { codeBlocks, type Block } from '../scripts/lib/markdown-blocks.mjs';
import { documentedOutput, printsAsDocumented } from './documented-output.js';
import { typeErrors } from './type-check-blocks.js';

const root = fileURLToPath(new URL('../', import.meta.url));
// Inside the repository, so that packages resolve; ignored by git.
const folder = join(root, '.xmoe', 'readme-blocks');
const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
const sources = ['--conditions=@xmoe/source', '--import', tsx];

const EXTENSIONS: Record<string, string> = { js: 'mjs', mjs: 'mjs', javascript: 'mjs', ts: 'mts', typescript: 'mts' };
const SHELLS = new Set(['bash', 'sh', 'shell']);

interface Example {
  name: string;
  block: Block;
  /** What the next block says it prints. */
  printed?: string;
}

const runsAsModule = ({ language }: Block) => language in EXTENSIONS;
const runsInShell = ({ language, code }: Block) => SHELLS.has(language) && /\bnode examples\//.test(code);

function examplesOf(path: string): Example[] {
  const blocks = codeBlocks(readFileSync(join(root, path), 'utf8'));
  return blocks.flatMap((block, index) => {
    if (block.marks.includes('fragment') || !(runsAsModule(block) || runsInShell(block))) return [];
    const next = blocks[index + 1];
    const printed = next?.language === 'json' && next.marks.includes('printed') ? next.code : undefined;
    return [{ name: `${path}:${block.line}`, block, printed }];
  });
}

function documents(): string[] {
  const inFolder = (path: string): string[] => !existsSync(join(root, path)) ? [] :
    readdirSync(join(root, path), { withFileTypes: true }).flatMap((entry) =>
      entry.isDirectory() && entry.name !== 'node_modules' ? inFolder(`${path}/${entry.name}`) :
      entry.name.endsWith('.md') ? [`${path}/${entry.name}`] : []);
  const workspace = ['packages', 'apps'].flatMap((group) =>
    readdirSync(join(root, group)).map((name) => `${group}/${name}/README.md`));
  return ['README.md', 'CONTRIBUTING.md', ...workspace].filter((path) => existsSync(join(root, path))).concat(inFolder('docs'));
}

/** The file that a block is written to. */
function fileOf(name: string, { language, code }: Block): string {
  const file = join(folder, `${name.replaceAll(/[^a-zA-Z0-9]+/g, '-')}.${EXTENSIONS[language]}`);
  writeFileSync(file, code);
  return file;
}

function run({ name, block }: Example) {
  const options = { cwd: root, env: { ...process.env } };
  if (!runsAsModule(block)) {
    // The example reads the packages' sources, like everything in this test: nothing needs to be built.
    const env = { ...process.env, NODE_OPTIONS: sources.join(' ') };
    return capture('bash', ['-e', '-u', '-o', 'pipefail', '-c', block.code], { ...options, env });
  }
  return capture(process.execPath, [...sources, fileOf(name, block)], options);
}

/** Equal JSON, with room for the last digits of a number that the documentation may round. */
function expectSame(printed: unknown, documented: unknown, path = 'printed'): void {
  if (typeof documented === 'number' && typeof printed === 'number') {
    expect(printed, path).toBeCloseTo(documented, 3);
  } else if (typeof documented === 'object' && documented !== null && typeof printed === 'object' && printed !== null) {
    expect(Object.keys(printed), path).toEqual(Object.keys(documented));
    for (const key of Object.keys(documented)) {
      expectSame((printed as Record<string, unknown>)[key], (documented as Record<string, unknown>)[key], `${path}.${key}`);
    }
  } else {
    expect(printed, path).toEqual(documented);
  }
}

beforeAll(() => mkdirSync(folder, { recursive: true }));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('documentation', () => {
  const examples = documents().flatMap(examplesOf);

  it('has a README with runnable code', () => {
    expect(examples.filter(({ name }) => name.startsWith('README.md:')).length).toBeGreaterThan(0);
  });

  it.each(examples)('$name runs', async (example) => {
    const { code, output } = await run(example);
    expect(code, `${example.block.code}\n${output}`).toBe(0);
    if (example.printed) expectSame(JSON.parse(output), JSON.parse(example.printed));
    if (!runsAsModule(example.block)) return;
    const documented = documentedOutput(example.block.code);
    if (!printsAsDocumented(output, documented)) expect(output).toBe(documented);
  });

  it('type-checks, array elements that may not be there included', () => {
    const files = documents().flatMap((path) =>
      codeBlocks(readFileSync(join(root, path), 'utf8'))
        .filter(({ language }) => EXTENSIONS[language] === 'mts')
        .map((block) => ({ name: `${path}:${block.line}`, file: fileOf(`types of ${path}:${block.line}`, block) })),
    );
    expect(files.length).toBeGreaterThan(10);
    const named = new Map(files.map(({ name, file }) => [file, name]));
    expect(typeErrors(root, [...named.keys()]).map(({ file, error }) => `${named.get(file)}: ${error}`)).toEqual([]);
  });
});

describe('documented output', () => {
  it('is every line that prints, rounded, with gaps, and not another', () => {
    expect(documentedOutput('const x = 1;\nconsole.log(x); // → 1\nconsole.log(y, [x]); // → … [ 1 ]\n')).toBe('1\n… [ 1 ]');
    expect(() => documentedOutput('console.log(undefined); // the answer\n')).toThrow(/does not say what.*console\.log\(undefined\)/);
    expect(printsAsDocumented('Float64Array(2) [\n  0.6439, -0.0871443\n]\n', 'Float64Array(2) [ 0.644, -0.0871 ]')).toBe(true);
    expect(printsAsDocumented('cpu, 3 threads [ 1 ]', '… [ 1 ]')).toBe(true);
    for (const [printed, documented] of [['undefined', '2.667'], ['2.7', '2.667'], ['3', '2.99'], ['1 2', '1'], ['1', '1 2'], ['-0.5', '0.5'], ['a [ 1 ] b', '… [ 1 ]']] as const) {
      expect(printsAsDocumented(printed, documented), printed).toBe(false);
    }
  });
});

describe('code blocks', () => {
  it('are found with their language, marks, indentation and line', () => {
    const text = 'a\n```ts fragment\nx\n```\n- item\n  ~~~bash\n  y\n    ```\n  ~~~\n````\n```\n````\n';
    expect(codeBlocks(text)).toEqual([
      { language: 'ts', marks: ['fragment'], line: 2, code: 'x\n' },
      { language: 'bash', marks: [], line: 6, code: 'y\n  ```\n' },
      { language: '', marks: [], line: 10, code: '```\n' },
    ]);
  });
});
