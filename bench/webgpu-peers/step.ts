// A train step of `tiny` on our WebGPU backend beside the same program through the TensorFlow.js WebGPU backend on the same
// adapter: launches, submits and time.
import { createEngine, XMoEError } from '@xmoe/core';
import type { StepReport, Trainer } from '@xmoe/train';
import type { TokenBatch } from '@xmoe/text';
import type { LanguageConfig } from '@xmoe/models';
import { loadLanguagePreset } from '@xmoe/models/presets';
import type { Device } from '../forward-backward.js';
import { measureInterleaved, ratioOf, type Contestant, type MeasureOptions, type Ratio } from '../measure.js';
import { verdict, verdictColumns } from '../peers/target.js';
import type { Row, Table } from '../table.js';
import { createStepTrainer, describeConfig, QUICK_BATCH, zipfBatch } from '../train-step.js';
import { countLaunches, type Launches } from './count-launches.js';
import { WEBGPU_TARGETS } from './target.js';

const PRESET = 'tiny';
const BATCHES = 8;
/** Steps before anything is counted or timed: kernels are compiled, then a step is recorded, then it is replayed. */
const WARM_UP = 3;
/** Steps whose host code is timed. */
const HOST_SAMPLES = 10;
const LOSS_TOLERANCE = 1e-3;

interface Side {
  readonly device: Device;
  readonly dispatch: string;
  readonly replayed: boolean;
  readonly contestant: Contestant;
  readonly trainer: Trainer<TokenBatch>;
  readonly losses: readonly number[];
  readonly launches: Launches;
  /** Shortest time until the host has handed a step to the device. */
  readonly hostMs: number;
}

/** `tfjs` is null where it is absent: then ours is measured alone. */
export async function benchWebGpuStep(ours: Device, tfjs: Device | null, quick: boolean, options: MeasureOptions): Promise<Table[]> {
  const set = quick ? QUICK_BATCH : [];
  const padded = loadLanguagePreset(PRESET, { set: [...set, 'moe.dispatch=padded'] });
  const preset = loadLanguagePreset(PRESET, { set });
  // TensorFlow.js has no ragged product and cannot wait for sizes: it takes the padded path, so ours is measured on that too.
  const replayed = await prepare(ours, preset);
  const called = await prepare(withoutReplay(ours), preset);
  const both = tfjs ? { ours: await prepare(ours, padded), theirs: await prepare(tfjs, padded) } : null;
  if (both) requireSameLosses(both.ours, both.theirs, LOSS_TOLERANCE);
  requireSameLosses(replayed, called, 0);
  const sides = [replayed, called, ...(both ? [both.ours, both.theirs] : [])];
  const timings = await measureInterleaved(sides.map(({ contestant }) => contestant), options);
  for (const { trainer } of sides) trainer.dispose();
  const tokens = preset.train.batchSize * preset.model.contextLength;
  const rows = sides.map(({ device, dispatch, replayed: replays, launches, hostMs }, index): Row => ({
    who: device.name, dispatch, replayed: replays ? 'yes' : 'no', ...launches, hostMs, minMs: timings[index]!.min, medianMs: timings[index]!.median, tokensPerSecond: (1000 * tokens) / timings[index]!.median,
  }));
  const [timeReplayed, timeCalled, timeOurs, timeTheirs] = timings;
  const hostGain = called.hostMs / replayed.hostMs;
  const ratios: Row[] = [
    { figure: 'replay: host time of our step without / with it', ...verdict({ min: hostGain, median: hostGain }, null) },
    { figure: 'replay: time of our step without / with it', ...verdict(ratioOf(timeCalled!, timeReplayed!), null) },
    ...(both ? comparison(both, ratioOf(timeTheirs!, timeOurs!)) : []),
  ];
  return [{
    id: 'webgpu-step',
    title: `Train step of ${PRESET} beside TensorFlow.js on the same adapter`,
    note: `${describeConfig(preset)}, or padded dispatch; ${tokens} tokens a step. One update (forward, backward, clipping, AdamW), by the same program and with the same losses. `
      + 'Dispatches are kernel launches, counted at the WebGPU API. Replayed: launched from a recording of an earlier step, without the host code of the kernels. Host: until '
      + 'everything of a step is handed to the device, the shortest time.',
    columns: [
      { key: 'who', label: 'backend' }, { key: 'dispatch', label: 'dispatch' }, { key: 'replayed', label: 'replayed' }, { key: 'dispatches', label: 'dispatches', digits: 0 }, { key: 'submits', label: 'submits', digits: 0 },
      { key: 'hostMs', label: 'host ms/step' }, { key: 'minMs', label: 'min ms/step' }, { key: 'medianMs', label: 'median ms/step' }, { key: 'tokensPerSecond', label: 'tokens/s', digits: 0 },
    ],
    rows,
  }, {
    id: 'webgpu-step-ratios',
    title: `Train step of ${PRESET}: ratios`,
    note: `Replay: on the preset's path, with losses that are equal to the bit.${both ? ' TensorFlow.js: both sides on the padded path, which it can take.' : ''}`,
    columns: [{ key: 'figure', label: 'figure' }, ...verdictColumns('ratio')],
    rows: ratios,
  }];
}

/** The same backend; the caller disposes it once. */
function withoutReplay({ name, engine }: Device): Device {
  return { name, engine: createEngine({ ...engine.backend, record: undefined }) };
}

async function prepare(device: Device, config: LanguageConfig): Promise<Side> {
  const trainer = createStepTrainer(device.engine, config);
  const batches = Array.from({ length: BATCHES }, (_, index) => zipfBatch(config, index));
  let next = 0;
  const step = (): Promise<StepReport> => trainer.step([batches[next++ % BATCHES]!], { collectRouting: false });
  const run = async (): Promise<void> => void (await step());
  const losses: number[] = [];
  for (let index = 0; index < WARM_UP; index++) losses.push((await step()).crossEntropy);
  const hostTimes: number[] = [];
  for (let index = 0; index < HOST_SAMPLES; index++) {
    const start = performance.now();
    const pending = step();
    hostTimes.push(performance.now() - start);
    await pending;
  }
  return {
    device, trainer, losses, dispatch: config.moe!.dispatch, replayed: device.engine.backend.record !== undefined,
    launches: await countLaunches(run), hostMs: Math.min(...hostTimes), contestant: { name: device.name, run },
  };
}

function requireSameLosses(ours: Side, theirs: Side, tolerance: number): void {
  if (ours.losses.every((loss, step) => Math.abs(loss / theirs.losses[step]! - 1) <= tolerance)) return;
  throw new XMoEError('backend', `the losses of ${theirs.device.name} are ${theirs.losses.join(', ')}, ours ${ours.losses.join(', ')}`, {
    op: 'bench', hint: 'the two sides do different work, so do not compare their times',
  });
}

function comparison({ ours, theirs }: { ours: Side; theirs: Side }, time: Ratio): Row[] {
  const fewer = theirs.launches.dispatches / ours.launches.dispatches;
  return [
    { figure: 'dispatches: TensorFlow.js webgpu / ours', ...verdict({ min: fewer, median: fewer }, WEBGPU_TARGETS.dispatches) },
    { figure: 'time: TensorFlow.js webgpu / ours', ...verdict(time, WEBGPU_TARGETS.step) },
  ];
}
