// The benchmark runs and prints all of its tables; its timing helper is fair. How fast anything is, is not tested.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { measureInterleaved, median, ratioOf, type Contestant, type Timing } from '../bench/measure.js';
import { parseOptions } from '../bench/options.js';
import { MOE_SHAPES } from '../bench/shapes.js';
import { toMarkdown, type Table } from '../bench/table.js';

const root = fileURLToPath(new URL('../', import.meta.url));
const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;

function bench(...args: string[]) {
  return spawnSync(process.execPath, ['--conditions=@xmoe/source', '--import', tsx, join(root, 'bench', 'main.ts'), ...args], { cwd: root, encoding: 'utf8' });
}

describe('a quick run', () => {
  let folder = '';
  let run: ReturnType<typeof bench>;
  let results: { environment: { cpu: string; node: string; backends: string[]; warnings: string[] }; tables: Table[] };

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'xmoe-bench-'));
    run = bench('--quick', '--backend', 'cpu,tfjs:wasm', '--json', join(folder, 'bench.json'), '--markdown', join(folder, 'bench.md'));
    expect(run.status, run.stderr).toBe(0);
    results = JSON.parse(readFileSync(join(folder, 'bench.json'), 'utf8')) as typeof results;
  }, 120_000);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('measures every section on both backends', () => {
    expect(results.tables.map(({ id }) => id)).toEqual([
      'gemm', 'router', 'moe-layer cpu', 'moe-summary cpu', 'moe-layer tfjs:wasm', 'moe-summary tfjs:wasm', 'train-step',
    ]);
    const rows = (id: string) => results.tables.find((table) => table.id === id)!.rows;
    expect(rows('gemm')).toHaveLength(2 * 3);
    expect(rows('router').map(({ router }) => router)).toEqual(expect.arrayContaining(['threshold t=0.9', 'switch', 'hash', 'base', 'uniform k=8']));
    expect(rows('moe-layer cpu')).toHaveLength(1 + 4 * 5);
    expect(rows('moe-summary tfjs:wasm')).toHaveLength(5);
    expect(rows('train-step').map(({ backend, model }) => `${backend} ${model}`)).toEqual(['cpu XMoE', 'cpu dense', 'tfjs:wasm XMoE', 'tfjs:wasm dense']);
  });

  it('has a positive finite number in every cell that is a number', () => {
    for (const { id, columns, rows } of results.tables) {
      for (const row of rows) {
        for (const { key } of columns) {
          const value = row[key];
          if (key === 'wanted' || key === 'kept') continue; // the dense layer has none
          expect(typeof value === 'string' ? value.length : value, `${id} ${JSON.stringify(row)} ${key}`).toBeGreaterThan(0);
          expect(value, `${id} ${key}`).not.toBeNull(); // how JSON writes NaN and Infinity
        }
      }
    }
  });

  it('compares equal work: forced-uniform routing wants and keeps γ experts per token, and the threshold router fills the budget', () => {
    for (const { id, rows } of results.tables.filter((table) => table.id.startsWith('moe-layer'))) {
      for (const row of rows.filter(({ dispatch }) => dispatch !== 'dense')) {
        const capacityFactor = Number(/γ=(\d+)/.exec(String(row.split))![1]);
        expect(row.kept, `${id} ${JSON.stringify(row)}`).toBeCloseTo(capacityFactor, 6);
        if (row.router === 'uniform') expect(row.wanted).toBeCloseTo(capacityFactor, 6);
        else expect(row.wanted).toBeGreaterThan(capacityFactor);
      }
    }
  });

  it('prints what it writes, under a header that names the device', () => {
    const markdown = readFileSync(join(folder, 'bench.md'), 'utf8');
    expect(run.stdout.trimEnd()).toBe(markdown.trimEnd());
    const { cpu, node, backends, warnings } = results.environment;
    for (const text of [cpu, node, ...backends, ...warnings]) expect(markdown).toContain(text);
    expect(backends[1]).toContain('tfjs:wasm');
    expect(warnings[0]).toContain('--quick');
  });
});

it('refuses bad flags in one line', () => {
  const refused = bench('--only', 'gem');
  expect(refused.status).toBe(2);
  expect(refused.stderr).toBe('bench: there is no section gem, did you mean gemm? (one of gemm, router, moe, step)\n');
});

describe('flags', () => {
  it('has defaults, and takes lists', () => {
    expect(parseOptions([])).toEqual({ sections: ['gemm', 'router', 'moe', 'step'], backends: null, quick: false, repeat: 5, json: null, markdown: null, help: false });
    expect(parseOptions(['--', '--only', 'moe, step,moe', '--backend=cpu', '--repeat', '7'])).toMatchObject({ sections: ['moe', 'step'], backends: ['cpu'], repeat: 7 });
    expect(parseOptions(['--quick']).repeat).toBe(2);
  });

  it.each([
    [['--quik'], 'there is no option --quik, did you mean --quick?'],
    [['--repeat', '2.5'], '--repeat is "2.5"'],
    [['--repeat', ''], '--repeat is ""'],
    [['--backend', ','], '--backend names nothing'],
    [['--only'], "'--only <value>' argument missing"],
    [['gemm'], "Unexpected argument 'gemm'"],
  ])('refuses %j', (args, message) => {
    expect(() => parseOptions(args)).toThrow(message);
  });
});

describe('interleaved timing', () => {
  const recorder = (name: string, order: string[]): Contestant => ({ name, run: async () => void order.push(name) });

  it('runs everyone once per round, each first in turn', async () => {
    const order: string[] = [];
    const timings = await measureInterleaved(['a', 'b', 'c'].map((name) => recorder(name, order)), { repeat: 3, sampleMs: 0 });
    expect(order.slice(-9).join('')).toBe('abcbcacab');
    expect(timings.map(({ samples }) => samples.length)).toEqual([3, 3, 3]);
  });

  it('repeats short work to fill a sample, and reports the time of one run', async () => {
    const order: string[] = [];
    const [timing] = await measureInterleaved([recorder('a', order)], { repeat: 1, sampleMs: 1 });
    expect(order.length).toBeGreaterThan(10);
    expect(timing.min).toBeLessThan(1);
  });

  it('takes ratios within rounds', () => {
    const timing = (...samples: number[]): Timing => ({ min: Math.min(...samples), median: median(samples), samples });
    expect(ratioOf(timing(4, 20, 6), timing(2, 10, 2))).toEqual({ min: 2, median: 2 });
    expect(median([4, 1, 3, 2])).toBe(2.5);
  });
});

it('keeps the work of every split equal', () => {
  for (const { splits, denseHidden } of Object.values(MOE_SHAPES)) {
    for (const { experts, hidden, capacityFactor } of splits) {
      expect(hidden * capacityFactor).toBe(denseHidden);
      expect(experts * hidden).toBe(8 * denseHidden);
    }
  }
});

it('writes markdown tables', () => {
  const table: Table = { id: 'x', title: 'X', note: 'Of x.', columns: [{ key: 'name', label: 'name' }, { key: 'ms', label: 'ms', digits: 1 }], rows: [{ name: 'a', ms: 1.25 }, { name: 'b' }] };
  expect(toMarkdown(table)).toBe(['## X', '', 'Of x.', '', '| name |  ms |', '|------|----:|', '| a    | 1.3 |', '| b    |   – |', ''].join('\n'));
});
