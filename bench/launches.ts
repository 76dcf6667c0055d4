// What one training step of a preset asks of a GPU, at full size, on a GPU that executes nothing (@xmoe/testing): launches, submits,
// bytes, memory, and time by a model. `npm run launches` prints it; test/launches.test.ts holds it to what is committed.
import { pathToFileURL } from 'node:url';
import { createWebGpuBackend } from '@xmoe/backend-webgpu';
import { createEngine, unknownName } from '@xmoe/core';
import { createLanguageModelFromConfig, createLanguageModelTrainer } from '@xmoe/models';
import { bytesOf, createMockGpu, LARGE_GPU, modelledMs, type DeviceProfile, type Launch, type MockGpu } from '@xmoe/testing';
import { loadLanguagePreset } from '@xmoe/models/presets';
import { namesOf, readToolFlags, runTool } from '@xmoe/testing/programs';
import { vocabularyOf } from './train-step.js';

/** One update: its preset, and its micro-batches. */
export interface LaunchCase {
  readonly preset: string;
  readonly accumulation: number;
}

/** Of a recorded update. */
export interface LaunchRow extends LaunchCase {
  readonly launches: number;
  readonly submits: number;
  /** That launches read and write, at most. */
  readonly bytesMoved: number;
  /** Of all buffers at once, from the first update on, updates that collect routing included. */
  readonly peakBytes: number;
  readonly modelledMs: number;
}

/** The paper's models beside the two that train on a CPU. */
export const CASES: readonly LaunchCase[] = [
  { preset: 'tiny', accumulation: 1 },
  { preset: 'small', accumulation: 1 },
  { preset: '124m-dense', accumulation: 1 },
  { preset: '323m-xmoe-64x384', accumulation: 1 },
  { preset: '323m-xmoe-64x384', accumulation: 8 },
  { preset: '556m-xmoe-64x512', accumulation: 1 },
];

export interface LaunchOptions {
  /** Default: a large one. */
  profile?: DeviceProfile;
  /** As `--set`. */
  set?: readonly string[];
}

/** The row of a case, and the launches of one recorded update. */
export async function measureLaunches({ preset, accumulation }: LaunchCase, { profile = LARGE_GPU, set = [] }: LaunchOptions = {}): Promise<{ row: LaunchRow; launches: Launch[]; gpu: MockGpu }> {
  const config = loadLanguagePreset(preset, { set: [`train.accumulation=${accumulation}`, ...set] });
  const gpu = createMockGpu(profile);
  gpu.keepLaunches = false;
  const engine = createEngine(await createWebGpuBackend({ device: gpu.device, tuning: 'off' }));
  try {
    const model = createLanguageModelFromConfig(config, vocabularyOf(config));
    // Values do not matter here, and drawing them takes longer than everything else.
    const parameters = Object.fromEntries(model.parameters.map(({ name, shape }) => [name, engine.zeros(shape).keep()]));
    const trainer = createLanguageModelTrainer(engine, config, model, parameters);
    const tokens = config.train.batchSize * config.model.contextLength;
    const batches = Array.from({ length: accumulation }, () => ({ inputs: new Int32Array(tokens), targets: new Int32Array(tokens) }));
    // Of each kind the first update warms up, the second is recorded, the third repeats it.
    for (const collectRouting of [false, true]) for (let update = 0; update < 3; update++) await trainer.step(batches, { collectRouting });
    gpu.reset();
    gpu.keepLaunches = true;
    await trainer.step(batches, { collectRouting: false });
    const launches = gpu.submits.flat();
    const sum = (of: (launch: Launch) => number): number => launches.reduce((total, launch) => total + of(launch), 0);
    const row = {
      preset, accumulation, launches: launches.length, submits: gpu.counts.submits, bytesMoved: Math.round(sum(bytesOf)), peakBytes: gpu.memory.peakBytes,
      modelledMs: Math.round(1e3 * sum(modelledMs)) / 1e3,
    };
    trainer.dispose();
    return { row, launches, gpu };
  } finally {
    engine.dispose();
  }
}

function tableOf(rows: readonly LaunchRow[]): string {
  const heads = ['preset', 'micro-batches', 'launches', 'submits', 'GB moved', 'peak GiB', 'modelled ms'];
  const cells = rows.map((row) => [
    row.preset, row.accumulation, row.launches, row.submits, (row.bytesMoved / 1e9).toFixed(3), (row.peakBytes / 2 ** 30).toFixed(3), row.modelledMs.toFixed(1),
  ].map(String));
  const widths = heads.map((head, column) => Math.max(head.length, ...cells.map((row) => row[column].length)));
  const line = (row: readonly string[]): string => row.map((text, column) => (column === 0 ? text.padEnd(widths[0]) : text.padStart(widths[column]))).join('  ');
  return [heads, ...cells].map(line).join('\n');
}

const FLAGS = { only: { type: 'string' }, json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } as const;

const PRESETS = [...new Set(CASES.map(({ preset }) => preset))];

const HELP = `npm run launches -- [options]
  --only LIST  presets, separated by commas; the beginning of a name will do (default: all):
               ${PRESETS.join(', ')}
  --json       print the rows as JSON
  --help       this text
`;

/** @throws XMoEError `config` for an unknown flag, and for a name that no preset of a case begins with */
export function parseOptions(args: readonly string[]): { cases: readonly LaunchCase[]; json: boolean; help: boolean } {
  const { only, json = false, help = false } = readToolFlags('launches', args, FLAGS);
  if (only === undefined) return { cases: CASES, json, help };
  const names = namesOf('launches', '--only', only);
  const strange = names.find((name) => !PRESETS.some((preset) => preset.startsWith(name)));
  if (strange !== undefined) throw unknownName('launches', 'preset', strange, PRESETS);
  return { cases: CASES.filter(({ preset }) => names.some((name) => preset.startsWith(name))), json, help };
}

async function main(): Promise<void> {
  const { cases, json, help } = parseOptions(process.argv.slice(2));
  if (help) return void process.stdout.write(HELP);
  const rows: LaunchRow[] = [];
  for (const one of cases) rows.push((await measureLaunches(one)).row);
  process.stdout.write(json ? `${JSON.stringify(rows, undefined, 1)}\n` : [
    'One recorded update of each preset on a GPU that executes nothing. Times are a model of an H100-class GPU, not a measurement.',
    tableOf(rows),
    '',
  ].join('\n'));
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await runTool(main);
