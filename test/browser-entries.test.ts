// The entries that browsers load, bundled as for a page: nothing of Node is asked for, nothing large comes along, and in a place that
// has none of Node's globals a tokenizer learns, a configuration is read, a model trains and its weights are stored. The bundles that
// users get, in a browser: browser.test.ts.
import { fileURLToPath } from 'node:url';
import { createContext, runInContext } from 'node:vm';
import { build } from 'esbuild';
import { expect, it } from 'vitest';

const root = fileURLToPath(new URL('../', import.meta.url));

/** Fails on a module of Node, as it is asked for without being external. */
const bundle = (input: object) => build({
  ...input, bundle: true, platform: 'browser', format: 'iife', target: 'es2022', conditions: ['@xmoe/source'], write: false, metafile: true, logLevel: 'silent', absWorkingDir: root,
});
const contents = (code: string) => ({ stdin: { contents: code, resolveDir: `${root}test`, loader: 'ts' } });

const LARGE = /gpt-tokenizer|vega|commander|hyparquet|saxes|fzstd/;

it.each(['core', 'files', 'metrics', 'moe', 'nn', 'routers', 'routers/reference', 'text', 'train'])(
  '@xmoe/%s goes into a page, with nothing large', async (name) => {
    const { metafile } = await bundle(contents(`export * from '@xmoe/${name}';`));
    expect(Object.keys(metafile.inputs).length).toBeGreaterThan(1);
    expect(Object.keys(metafile.inputs).filter((path) => LARGE.test(path))).toEqual([]);
  });

it('@xmoe/text/gpt2 goes into a page with its vocabulary', async () => {
  const { metafile } = await bundle(contents("export * from '@xmoe/text/gpt2';"));
  expect(Object.keys(metafile.inputs).some((path) => path.includes('gpt-tokenizer'))).toBe(true);
});

it('entries for Node are refused there', async () => {
  await expect(bundle(contents("export * from '@xmoe/text/node';"))).rejects.toThrow('node:fs');
  await expect(bundle(contents("export * from '@xmoe/train/node';"))).rejects.toThrow('node:fs');
});

it('tokenizer, configuration, trainer and safetensors work without anything of Node', async () => {
  const { outputFiles } = await bundle({ entryPoints: ['packages/train/test/page/training.ts'], globalName: 'page' });
  const { TextEncoder, TextDecoder, structuredClone, performance, queueMicrotask } = globalThis;
  // Some engines of tests know no other place for what the language itself lacks.
  const place = createContext({ TextEncoder, TextDecoder, structuredClone, performance, queueMicrotask });
  runInContext(outputFiles[0].text, place);
  expect(runInContext('typeof process + typeof Buffer + typeof require', place)).toBe('undefined'.repeat(3));
  const result = await (runInContext('page.trainInPage()', place) as Promise<{ text: string; hash: string; losses: number[]; stored: string[] }>);
  expect(result.text).toBe('the cat sat on the mat');
  expect(result.hash).toMatch(/^[0-9a-f]{64}$/);
  expect(result.losses).toHaveLength(12);
  expect(result.losses.at(-1)!).toBeLessThan(result.losses[0]! * 0.8);
  expect(result.stored).toContain('wte.weight');
});
