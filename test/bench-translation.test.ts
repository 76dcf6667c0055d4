// The table of `pnpm bench translation`, from runs that are there already. Training is the program's own matter.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../', import.meta.url));
const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'xmoe-bench-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const bench = (...args: string[]) =>
  spawnSync(process.execPath, ['--conditions=@xmoe/source', '--import', tsx, join(root, 'bench', 'translation.ts'), ...args], { encoding: 'utf8' });

function writeSummary(name: string, seed: number, bleu: number, routing: object): void {
  const directory = join(folder, `${name}-${seed}`);
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'summary.json'), JSON.stringify({
    languages: 'de-en', backend: 'cpu:wasm', steps: 10, parameters: 1_234_000, trainPairs: 7, testPairs: 5, tokens: 1000, bleu, chrf: 2 * bleu, testLoss: 2.5, tokensPerSecond: 100 * seed, beam: 5, ...routing,
  }));
}

it('has mean and sample deviation over the seeds, and FLOPs beside those of the dense layer', () => {
  for (const seed of [1, 2, 3]) {
    writeSummary('dense', seed, 10 + seed, { expertsPerToken: {} });
    for (const name of ['switch', 'top-4']) writeSummary(name, seed, 20, { expertsPerToken: { a: 1, b: 2 }, budgetedFlops: 100, executedFlops: 100 });
    writeSummary('xmoe', seed, 30, { expertsPerToken: { a: 9 }, budgetedFlops: 100, executedFlops: 120 });
  }
  const file = join(folder, 'table.md');
  const { status, stderr } = bench('--seeds', '3', '--out', folder, '--markdown', file);
  expect(status, stderr).toBe(0);
  const rows = readFileSync(file, 'utf8').split('\n').filter((line) => line.startsWith('| ')).map((line) => line.split('|').slice(1, -1).map((cell) => cell.trim()));
  expect(rows.slice(1)).toEqual([
    ['dense', '1×384', '1.23 M', '12.00 ± 1.00', '24.00 ± 2.00', '2.50 ± 0.00', '–', '–', '200'],
    ['Switch', '8×384', '1.23 M', '20.00 ± 0.00', '40.00 ± 0.00', '2.50 ± 0.00', '1.00', '1.50', '200'],
    ['top-4', '32×96', '1.23 M', '20.00 ± 0.00', '40.00 ± 0.00', '2.50 ± 0.00', '1.00', '1.50', '200'],
    ['XMoE', '32×96', '1.23 M', '30.00 ± 0.00', '60.00 ± 0.00', '2.50 ± 0.00', '1.00', '9.00', '200'], // 1.2 · 3.35 · 96 / 384
  ]);
});

it('refuses flags that it does not know, and seeds that are no number', () => {
  expect(bench('--seeds', 'many')).toMatchObject({ status: 2, stderr: expect.stringContaining('--seeds is "many"') });
  expect(bench('--steps', '3')).toMatchObject({ status: 2, stderr: expect.stringContaining('unknown option "--steps"') });
});
