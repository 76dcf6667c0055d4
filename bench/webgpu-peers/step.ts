// A train step of `tiny` on our WebGPU backend beside the same program through the TensorFlow.js WebGPU backend on the same
// adapter: launches, submits and time.
import { XMoEError } from '@xmoe/core';
import type { TokenBatch, Trainer } from '@xmoe/train';
import { configs, type Config } from '../../apps/lm-pretrain/src/config.js';
import type { Device } from '../forward-backward.js';
import { measureInterleaved, ratioOf, type Contestant, type MeasureOptions } from '../measure.js';
import { verdict, verdictColumns } from '../peers/target.js';
import type { Row, Table } from '../table.js';
import { createStepTrainer, describeConfig, QUICK_BATCH, zipfBatch } from '../train-step.js';
import { countLaunches, type Launches } from './count-launches.js';
import { WEBGPU_TARGETS } from './target.js';

const PRESET = 'tiny';
const BATCHES = 8;
/** Steps before anything is counted or timed: kernels are compiled, then a step is recorded, then it is replayed. */
const WARM_UP = 3;
const LOSS_TOLERANCE = 1e-3;

interface Side {
  readonly device: Device;
  readonly dispatch: string;
  readonly contestant: Contestant;
  readonly trainer: Trainer<TokenBatch>;
  readonly losses: readonly number[];
  readonly launches: Launches;
}

/** `tfjs` is null where it is absent: then ours is measured alone. */
export async function benchWebGpuStep(ours: Device, tfjs: Device | null, quick: boolean, options: MeasureOptions): Promise<Table[]> {
  const set = quick ? QUICK_BATCH : [];
  const padded = await configs.resolve({ preset: PRESET, set: [...set, 'moe.dispatch=padded'] });
  const preset = await configs.resolve({ preset: PRESET, set });
  // TensorFlow.js has no ragged product and cannot wait for sizes: it takes the padded path, so ours is measured on that too.
  const sides = [await prepare(ours, padded), ...(tfjs ? [await prepare(tfjs, padded)] : []), await prepare(ours, preset)];
  if (tfjs) requireSameLosses(sides[0]!, sides[1]!);
  const timings = await measureInterleaved(sides.map(({ contestant }) => contestant), options);
  for (const { trainer } of sides) trainer.dispose();
  const tokens = preset.train.batchSize * preset.model.contextLength;
  const rows = sides.map(({ device, dispatch, launches }, index): Row => ({
    who: device.name, dispatch, ...launches, minMs: timings[index]!.min, medianMs: timings[index]!.median, tokensPerSecond: (1000 * tokens) / timings[index]!.median,
  }));
  const comparison = tfjs ? [comparisonTable(sides, timings)] : [];
  return [{
    id: 'webgpu-step',
    title: `Train step of ${PRESET} beside TensorFlow.js on the same adapter`,
    note: `${describeConfig(preset)}, or padded dispatch; ${tokens} tokens a step. One update (forward, backward, clipping, AdamW), by the same program and with the same losses. `
      + 'Dispatches are kernel launches, counted at the WebGPU API; ours are replayed from a recording.',
    columns: [
      { key: 'who', label: 'backend' }, { key: 'dispatch', label: 'dispatch' }, { key: 'dispatches', label: 'dispatches', digits: 0 }, { key: 'submits', label: 'submits', digits: 0 },
      { key: 'minMs', label: 'min ms/step' }, { key: 'medianMs', label: 'median ms/step' }, { key: 'tokensPerSecond', label: 'tokens/s', digits: 0 },
    ],
    rows,
  }, ...comparison];
}

async function prepare(device: Device, config: Config): Promise<Side> {
  const trainer = createStepTrainer(device.engine, config);
  const batches = Array.from({ length: BATCHES }, (_, index) => zipfBatch(config, index));
  let next = 0;
  const step = async (): Promise<number> => (await trainer.step([batches[next++ % BATCHES]!], { collectRouting: false })).crossEntropy;
  const losses: number[] = [];
  for (let index = 0; index < WARM_UP; index++) losses.push(await step());
  const run = async (): Promise<void> => void (await step());
  return { device, trainer, losses, dispatch: config.moe!.dispatch, launches: await countLaunches(run), contestant: { name: device.name, run } };
}

function requireSameLosses(ours: Side, theirs: Side): void {
  if (ours.losses.every((loss, step) => Math.abs(loss / theirs.losses[step]! - 1) < LOSS_TOLERANCE)) return;
  throw new XMoEError('backend', `the losses of ${theirs.device.name} are ${theirs.losses.join(', ')}, ours ${ours.losses.join(', ')}`, {
    op: 'bench', hint: 'the two sides do different work, so do not compare their times',
  });
}

function comparisonTable(sides: readonly Side[], timings: Parameters<typeof ratioOf>[0][]): Table {
  const [ours, theirs] = [sides[0]!, sides[1]!];
  const fewer = theirs.launches.dispatches / ours.launches.dispatches;
  return {
    id: 'webgpu-step-ratios',
    title: `Train step of ${PRESET}: TensorFlow.js webgpu / ours`,
    note: 'Both on the padded path, which TensorFlow.js can take.',
    columns: [{ key: 'figure', label: 'figure' }, ...verdictColumns('peer / ours')],
    rows: [
      { figure: 'dispatches', ...verdict({ min: fewer, median: fewer }, WEBGPU_TARGETS.dispatches) },
      { figure: 'time', ...verdict(ratioOf(timings[1]!, timings[0]!), WEBGPU_TARGETS.step) },
    ],
  };
}
