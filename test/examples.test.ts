// Every file of examples/ runs, with a plain `node` on the packages' sources, and says what it should. A file without a row here fails.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { decodeSafetensors } from '@xmoe/train';
import { afterAll, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../', import.meta.url));
const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;

/** Where examples put what they leave. */
const TEMPORARY = mkdtempSync(join(tmpdir(), 'xmoe-example-'));
afterAll(() => rmSync(TEMPORARY, { recursive: true, force: true }));

interface Example {
  args?: string[];
  input?: string;
  env?: Record<string, string>;
  prints: RegExp;
}

const EXAMPLES: Record<string, Example[]> = {
  'route.mjs': [{ input: '{"router": "threshold", "threshold": 0.9, "logits": [[2, 1, 0], [0, 0, 3]]}', prints: /^\{"capacity":2,"wantedPerToken":\[2,1\],/ }],
  'layer.mjs': [{ prints: /^\{"loss":0\.0044\d+,"gradients":\["moe\.router\.weight",.*"expertsPerToken":6\.40625/ }],
  'in-a-page.mjs': [{ env: { XMOE_THREADS: '1' }, prints: /^CPU, one thread, WebAssembly .*: loss 5\.\d+ → 0\.\d+ in 20 steps, \d+ bytes of weights\n$/ }],
  'train-a-model.ts': [{
    env: { XMOE_THREADS: '1', TMPDIR: TEMPORARY, TEMP: TEMPORARY },
    prints: /^step 1: loss 5\.\d+\n.*\nstep 60: loss 0\.[0-2]\d*\nweights: [^\n]*model\.safetensors\nThe.* sat on the /s,
  }],
  'translate.mjs': [{ env: { XMOE_BACKEND: 'cpu:wasm', XMOE_THREADS: '1' }, prints: /^the ship is old\n$/ }],
  'swap-backend.mjs': [
    { args: ['cpu:plain', 'cpu:wasm'], prints: /^CPU, one thread, plain TypeScript.*; asked for\n  ([01]\.\d{4} ?){8}\nCPU.*WebAssembly.*; asked for\n  ([01]\.\d{4} ?){8}\n$/ },
    { env: { XMOE_BACKEND: 'cpu:plain' }, prints: /^CPU, one thread, plain TypeScript/ },
  ],
};

it('each has a row here', () => {
  expect(readdirSync(join(root, 'examples')).filter((name) => /\.(mjs|ts)$/.test(name)).sort()).toEqual(Object.keys(EXAMPLES).sort());
});

it.each(Object.entries(EXAMPLES).flatMap(([name, runs]) => runs.map((run) => [name, run] as const)))('%s, run %#', (name, { args = [], input = '', env = {}, prints }) => {
  const printed = execFileSync(process.execPath, ['--conditions=@xmoe/source', '--import', tsx, join('examples', name), ...args], {
    cwd: root, input, env: { ...process.env, ...env }, encoding: 'utf8',
  });
  expect(printed).toMatch(prints);
});

it('train-a-model leaves its weights among temporary files, and is one page', () => {
  expect(existsSync(join(root, 'model.safetensors'))).toBe(false);
  const [weights, ...others] = readdirSync(TEMPORARY, { recursive: true }).map(String).filter((name) => name.endsWith('model.safetensors'));
  expect(others).toEqual([]);
  const { tensors } = decodeSafetensors(readFileSync(join(TEMPORARY, weights!)));
  expect(tensors.map(({ name }) => name)).toContain('wte.weight');
  expect(tensors.every(({ data }) => Array.from(data).every(Number.isFinite))).toBe(true);
  const lines = readFileSync(join(root, 'examples', 'train-a-model.ts'), 'utf8').split('\n');
  expect(lines.filter((line) => line.trim() !== '' && !/^(\/\/|import )/.test(line)).length).toBeLessThanOrEqual(40);
});
