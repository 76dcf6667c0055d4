// The benchmark runs and prints all of its tables; its timing helper is fair. How fast anything is, is not tested.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseOptions as parseGpuOptions, PHASE_NAMES } from '../bench/gpu/options.js';
import { measureInterleaved, median, ratioOf, type Contestant, type Timing } from '../bench/measure.js';
import { parseOptions } from '../bench/options.js';
import { requireAgreement } from '../bench/peers/formula.js';
import { onnxFile } from '../bench/peers/onnx-file.js';
import { startPython } from '../bench/peers/python.js';
import { TARGETS, verdict } from '../bench/peers/target.js';
import { MOE_SHAPES } from '../bench/shapes.js';
import { toMarkdown, type Table } from '../bench/table.js';
import { webGpuAdapter } from '../packages/backend-webgpu/test/adapter.js';

const adapter = await webGpuAdapter();
const root = fileURLToPath(new URL('../', import.meta.url));
const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;

function bench(...args: string[]) {
  return benchIn({}, ...args);
}

function benchIn(environment: Record<string, string>, ...args: string[]) {
  return spawnSync(process.execPath, ['--conditions=@xmoe/source', '--import', tsx, join(root, 'bench', 'main.ts'), ...args], {
    cwd: root, encoding: 'utf8', env: { ...process.env, ...environment },
  });
}

it('measures what is asked for by name alone', () => {
  const named = bench('--quick', '--backend', 'cpu', '--only', 'balance,targets,router-extra,fine');
  expect(named.status, named.stderr).toBe(0);
  expect([...named.stdout.matchAll(/^## (.*)$/gm)].map(([, title]) => title)).toEqual([
    'Load at N = 16', 'Mean experts per token against a target of 4 of 32', 'What routers with a state do for it on cpu:wasm', 'Experts down to size 1 on cpu:wasm',
  ]);
}, 120_000);

it('says that a file cannot be written before it measures', () => {
  const { status, stdout, stderr } = bench('--quick', '--backend', 'cpu', '--json', root);
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
  expect(stderr).toMatch(/--json .* cannot be written: EISDIR/);
  expect(stderr).not.toContain('measuring');
}, 60_000);

describe('a quick run', () => {
  let folder = '';
  let run: ReturnType<typeof bench>;
  let results: { environment: { cpu: string; node: string; backends: string[]; warnings: string[] }; tables: Table[] };

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'xmoe-bench-'));
    run = bench('--quick', '--backend', 'cpu,tfjs:wasm', '--json', join(folder, 'new', 'bench.json'), '--markdown', join(folder, 'bench.md'));
    expect(run.status, run.stderr).toBe(0);
    results = JSON.parse(readFileSync(join(folder, 'new', 'bench.json'), 'utf8')) as typeof results;
  }, 120_000);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('measures every section on both backends', () => {
    expect(results.tables.map(({ id }) => id)).toEqual([
      'gemm', 'router', 'moe-layer cpu:wasm', 'moe-summary cpu:wasm', 'moe-layer tfjs:wasm', 'moe-summary tfjs:wasm', 'train-step', 'generation-tiny',
    ]);
    const rows = (id: string) => results.tables.find((table) => table.id === id)!.rows;
    expect(rows('gemm')).toHaveLength(2 * 3);
    expect(rows('router').map(({ router }) => router)).toEqual(expect.arrayContaining(['threshold t=0.9', 'switch', 'hash', 'base', 'uniform k=8']));
    expect(rows('moe-layer cpu:wasm')).toHaveLength(1 + 4 * 5);
    expect(rows('moe-summary tfjs:wasm')).toHaveLength(5);
    expect(rows('train-step').map(({ backend, model }) => `${backend} ${model}`)).toEqual(['cpu:wasm XMoE', 'cpu:wasm dense', 'tfjs:wasm XMoE', 'tfjs:wasm dense']);
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

describe('a quick run beside peers', () => {
  it('measures without the optional ones, and says how to install them', () => {
    const folder = mkdtempSync(join(tmpdir(), 'xmoe-peers-'));
    try {
      const file = join(folder, 'peers.json');
      const run = benchIn({ XMOE_PEERS: folder, XMOE_PYTHON: join(folder, 'no-python') }, '--peers', '--quick', '--json', file);
      expect(run.status, run.stderr).toBe(0);
      expect(run.stdout).toContain('- absent: jax-js (not installed; node bench/install-peers.mjs jax)');
      expect(run.stdout).toMatch(/- absent: PyTorch \(.*no-python.*; node bench\/install-peers\.mjs torch\)/);
      expect(run.stdout).toMatch(/- absent: numpy \(.*no-python.*; node bench\/install-peers\.mjs numpy\)/);
      expect(run.stdout).toContain('- absent: ONNX Runtime (not installed; node bench/install-peers.mjs onnx)');
      const { tables } = JSON.parse(readFileSync(file, 'utf8')) as { tables: Table[] };
      expect(tables.map(({ id }) => id)).toEqual(['peers-gemm', 'peers-step', 'peers-layer', 'peers-layer-summary', 'peers-generation', 'peers-translating']);
      expect(tables[4].rows.map(({ model, texts, who }) => [model, texts, who])).toEqual([['tiny, dense', 1, 'cpu:wasm'], ['tiny, XMoE', 2, 'cpu:wasm']]);
      expect(tables[0].rows.map(({ who }) => who).slice(0, 2)).toEqual(['cpu:wasm', 'TensorFlow.js wasm']);
      expect(tables[1].rows.map(({ preset, who }) => `${preset} ${who}`)).toEqual(['tiny cpu:wasm', 'tiny tfjs:wasm', 'small cpu:wasm', 'small tfjs:wasm']);
      expect(tables[2].rows.map(({ dispatch }) => dispatch).slice(0, 4)).toEqual(['dense', 'grouped', 'budget', 'budget']);
      for (const row of tables.flatMap(({ rows }) => rows)) expect(Object.values(row)).not.toContain(null); // how JSON writes NaN
      // Sizes that the targets are not for.
      expect(tables.flatMap(({ rows }) => rows).some((row) => 'met' in row)).toBe(false);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }, 120_000);

  it.skipIf(!adapter.available)('runs on WebGPU beside TensorFlow.js on the same adapter, and says what is absent', () => {
    const folder = mkdtempSync(join(tmpdir(), 'xmoe-bench-'));
    try {
      const file = join(folder, 'bench.json');
      const run = benchIn({ XMOE_PYTHON: join(folder, 'no-python') }, '--peers', '--backend', 'webgpu', '--quick', '--json', file);
      expect(run.status, run.stderr).toBe(0);
      expect(run.stdout).toMatch(/- absent: PyTorch .*no-python/);
      const { tables } = JSON.parse(readFileSync(file, 'utf8')) as { tables: Table[] };
      const precisions = adapter.float16 ? ['float32', 'float16'] : ['float32'];
      expect(tables.map(({ id }) => id)).toEqual([
        'webgpu-gemm', 'webgpu-step', 'webgpu-step-ratios', 'webgpu-models',
        ...precisions.flatMap((dtype) => [`peers-layer ${dtype}, T = 64`, `peers-layer-summary ${dtype}, T = 64`]),
      ]);
      const [replayed, called, ours, theirs] = tables[1].rows;
      expect(tables[1].rows.map(({ who, dispatch, replayed: replays }) => [who, dispatch, replays])).toEqual([
        ['webgpu', 'budget', 'yes'], ['webgpu', 'budget', 'no'], ['webgpu', 'padded', 'yes'], ['tfjs:webgpu', 'padded', 'no'],
      ]);
      expect(called.dispatches).toBe(replayed.dispatches);
      expect(tables[2].rows).toHaveLength(4);
      expect(Number(theirs.dispatches)).toBeGreaterThan(3 * Number(ours.dispatches));
      expect(ours.submits).toBe(Math.ceil(Number(ours.dispatches) / 64)); // steps of no great arithmetic
      for (const row of tables.flatMap(({ rows }) => rows)) expect(Object.values(row)).not.toContain(null);
      expect(tables.flatMap(({ rows }) => rows).some((row) => 'met' in row)).toBe(false);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }, 300_000);

  it('judges ratios by their targets', () => {
    expect(verdict({ min: 2.5, median: 2 }, TARGETS.gemmTfjs)).toEqual({ ratioMin: 2.5, ratioMedian: 2, target: '≥ 2.5', met: 'yes' });
    expect(verdict({ min: 2.49, median: 3 }, TARGETS.gemmTfjs)).toMatchObject({ met: 'no' });
    expect(verdict({ min: 1.2, median: 1 }, TARGETS.tax)).toMatchObject({ target: '≤ 1.2', met: 'yes' });
    expect(verdict({ min: 1.21, median: 1 }, TARGETS.tax)).toMatchObject({ met: 'no' });
    expect(verdict({ min: 1, median: 2 }, null)).toEqual({ ratioMin: 1, ratioMedian: 2 });
  });

  it('refuses to time a peer that computes something else', () => {
    requireAgreement('GEMM', 'peer', [1000, 0.001], [1001, 0.0005]);
    expect(() => requireAgreement('GEMM', 'peer', [1, 2], [1, 2.01])).toThrow('GEMM: peer computes 1, 2.01 where we have 1, 2');
    expect(() => requireAgreement('GEMM', 'peer', [1], [Number.NaN])).toThrow('peer computes NaN');
    expect(() => requireAgreement('GEMM', 'peer', [1], [1, 2])).toThrow('peer computes 1, 2');
  });
});

describe('a process beside ours', () => {
  // Node stands in for Python: the protocol is the same.
  const start = (script: string) => startPython(process.execPath, ['-e', script]);
  const echo = `console.log('{"version":"1"}'); require('readline').createInterface({ input: process.stdin }).on('line', (line) => {
    const { loops } = JSON.parse(line); console.log(JSON.stringify(loops > 5 ? { error: 'ValueError: too many' } : { ms: 10 * loops })); });`;

  it('answers until it is closed, and its own clock counts', async () => {
    const python = await start(echo);
    expect(python.hello).toEqual({ version: '1' });
    const time = async (loops: number): Promise<number> => (await python.ask({ loops })).ms as number;
    const [timing] = await measureInterleaved([{ name: 'echo', run: async () => void (await time(1)), time }], { repeat: 2, sampleMs: 20 });
    expect(timing.samples).toEqual([10, 10]);
    await expect(python.ask({ loops: 6 })).rejects.toThrow('ValueError: too many');
    await python.close();
    await expect(python.ask({ loops: 1 })).rejects.toThrow('ended');
  });

  it('says why it does not start', async () => {
    await expect(start('console.error("trace"); console.error("No module named torch"); process.exit(1)')).rejects.toThrow('No module named torch');
    await expect(startPython(join(root, 'no-such-python'), [])).rejects.toThrow('ENOENT');
  });
});

describe('flags', () => {
  it('has defaults, and takes lists', () => {
    expect(parseOptions([])).toEqual({ sections: ['gemm', 'router', 'moe', 'step', 'generation'], peers: null, backends: null, quick: false, repeat: 5, json: null, markdown: null, help: false });
    expect(parseOptions(['--', '--only', 'moe, step,moe', '--backend=cpu', '--repeat', '7'])).toMatchObject({ sections: ['moe', 'step'], backends: ['cpu'], repeat: 7 });
    expect(parseOptions(['--quick']).repeat).toBe(2);
    expect(parseOptions(['--peers'])).toMatchObject({ peers: 'cpu', sections: ['gemm', 'step', 'moe', 'generation'] });
    expect(parseOptions(['--peers', '--backend', 'webgpu'])).toMatchObject({ peers: 'webgpu', backends: null, sections: ['gemm', 'step', 'moe'] });
  });

  it.each([
    [['--quik'], 'unknown option "--quik"'],
    [['--peers', '--backend', 'tfjs:wasm'], '--peers measures one of cpu, webgpu, not tfjs:wasm'],
    [['--peers', '--only', 'router'], 'unknown section "router"'],
    [['--repeat', '2.5'], '--repeat is "2.5"'],
    [['--repeat', ''], '--repeat is ""'],
    [['--backend', ','], '--backend names nothing'],
    [['--only'], "'--only <value>' argument missing"],
    [['gemm'], "Unexpected argument 'gemm'"],
  ])('refuses %j', (args, message) => {
    expect(() => parseOptions(args)).toThrow(message);
  });
});

it('takes the phases of a GPU by name, and refuses what it does not know', () => {
  expect(parseGpuOptions([])).toMatchObject({ phases: PHASE_NAMES, here: null, small: false });
  expect(parseGpuOptions(['--small']).phases.filter((name) => /124m|323m/.test(name))).toEqual([]);
  expect(parseGpuOptions(['--only', 'step tiny, device', '--small'])).toMatchObject({ phases: ['step tiny', 'device'], small: true });
  expect(() => parseGpuOptions(['--smal'])).toThrow('unknown option "--smal"');
  expect(() => parseGpuOptions(['--only', 'step tinny'])).toThrow('unknown phase "step tinny"');
  expect(() => parseGpuOptions(['tiny'])).toThrow("Unexpected argument 'tiny'");
});

it('runs phases where an adapter is, and ends with an error where none is', () => {
  const run = spawnSync(process.execPath, [join(root, 'scripts', 'gpu.mjs'), '--small', '--only', 'device,launches'], { encoding: 'utf8' });
  const rows = run.stdout.trim().split('\n').map((line) => JSON.parse(line) as { phase: string; error?: string; failed?: string[] });
  expect(rows.at(-1)).toMatchObject({ phase: 'end', failed: adapter.available ? [] : ['device'] });
  expect(run.status, run.stderr).toBe(adapter.available ? 0 : 1);
  expect(rows.some(({ phase, error }) => phase === 'launches' && error === undefined)).toBe(adapter.available);
});

describe('interleaved timing', () => {
  const recorder = (name: string, order: string[]): Contestant => ({ name, run: async () => void order.push(name) });

  it('runs everyone once per round, each first in turn', async () => {
    const order: string[] = [];
    const timings = await measureInterleaved(['a', 'b', 'c'].map((name) => recorder(name, order)), { repeat: 3, sampleMs: 0 });
    expect(order.slice(-18).join('')).toBe('aabbccbbccaaccaabb'); // off the clock, then timed
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

it('writes ONNX files byte by byte as ONNX Runtime 1.30 was seen to read them', () => {
  const file = onnxFile({
    nodes: [{ op: 'Gemm', inputs: ['x', 'w'], outputs: ['y'], attributes: { transB: 1, alpha: { float: 0.5 } } }],
    weights: [{ name: 'w', shape: [1, 2], values: Float32Array.of(1, -2) }],
    inputs: [{ name: 'x', type: 'float32', shape: ['n', 2] }],
    outputs: [{ name: 'y', type: 'float32', shape: ['n', 1] }],
  }, 20);
  expect(Buffer.from(file).toString('hex')).toBe('08093a790a2f0a01780a0177120179220447656d6d2a0d0a067472616e73421801a001022a0f0a05616c706861150000003fa00101120567726170682a1308010802'
    + '10014201774a080000803f000000c05a140a0178120f0a0d080112090a0312016e0a02080262140a0179120f0a0d080112090a0312016e0a02080142040a001014');
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
