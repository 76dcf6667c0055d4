// Train steps at the size of the paper: the dense model of 124M and XMoE models of 323M, in both precisions, beside PyTorch models
// of the same shape. Only for a GPU; quick: tiny models by the same code.
import { isXMoEError, type FloatDType } from '@xmoe/core';
import { type LanguageConfig, languageModelSize } from '@xmoe/models';
import type { TokenBatch } from '@xmoe/text';
import type { Trainer } from '@xmoe/train';
import { loadLanguagePreset } from '@xmoe/models/presets';
import { measureInterleaved, ratioOf, type Contestant, type MeasureOptions, type Timing } from '../measure.js';
import { verdict, verdictColumns } from '../peers/target.js';
import { torchModel } from '../peers/torch-model.js';
import type { Row, Table } from '../table.js';
import { describeConfig, stepContestant, vocabularyOf } from '../train-step.js';
import type { WebGpuPeers } from './open.js';

/** The dense one first: the others are a ratio to it. */
const PRESETS = ['124m-dense', '323m-xmoe-8x3072', '323m-xmoe-64x384'] as const;
const BATCH = ['train.batchSize=8', 'train.accumulation=1'];
const QUICK = ['train.batchSize=1', 'train.accumulation=1', 'model.layers=2', 'model.width=32', 'model.heads=2', 'model.hidden=64', 'model.contextLength=16'];

interface Side {
  readonly model: string;
  readonly who: string;
  readonly contestant: Contestant;
  readonly config: LanguageConfig;
  readonly flops: number;
}

export async function benchWebGpuModels(peers: WebGpuPeers, quick: boolean, options: MeasureOptions): Promise<Table[]> {
  const rows: Row[] = [];
  const failures: string[] = [];
  let sparse: LanguageConfig | undefined;
  for (const dtype of peers.dtypes) {
    const trainers: Trainer<TokenBatch>[] = [];
    const sides: Side[] = [];
    for (const preset of PRESETS) {
      const config = await resolve(preset, dtype, quick);
      sparse = config.moe ? config : sparse;
      sides.push(...(await prepare(peers, preset, config, trainers, failures)));
    }
    const timings = await measureInterleaved(sides.map(({ contestant }) => contestant), options);
    for (const trainer of trainers) trainer.dispose();
    await peers.torch?.drop();
    rows.push(...sides.map((side, index) => rowOf(side, dtype, sides, timings, index)));
  }
  const { batchSize } = sparse!.train;
  const { contextLength } = sparse!.model;
  return [{
    id: 'webgpu-models',
    title: 'Train step of 124M dense and 323M XMoE on WebGPU',
    note: `One update (forward, backward, clipping, AdamW) on ${batchSize} × ${contextLength} random tokens. The finest: ${describeConfig(sparse!)}. FLOPs are those of the matrix `
      + 'products, budgeted experts and causal half of the attention. PyTorch: the same shapes, even loads without selection, autocast in half precision. × dense: time / time of the dense '
      + `model by the same library.${failures.map((failure) => ` Not measured: ${failure}.`).join('')}`,
    columns: [
      { key: 'model', label: 'model' }, { key: 'dtype', label: 'precision' }, { key: 'who', label: 'library' }, { key: 'minMs', label: 'min ms/step' }, { key: 'medianMs', label: 'median ms/step' },
      { key: 'tokensPerSecond', label: 'tokens/s', digits: 0 }, { key: 'tflops', label: 'TFLOP/s' }, { key: 'overDense', label: '× dense' }, ...verdictColumns('ours / peer').slice(0, 2),
    ],
    rows,
  }];
}

async function resolve(preset: string, dtype: FloatDType, quick: boolean): Promise<LanguageConfig> {
  const experts = preset.endsWith('dense') ? [] : ['moe.expertHidden=16'];
  return loadLanguagePreset(preset, { set: [...(quick ? [...QUICK, ...experts] : BATCH), `train.precision=${dtype}`] });
}

/** Ours, then PyTorch's. One that does not fit the memory is left out. */
async function prepare({ ours, torch }: WebGpuPeers, model: string, config: LanguageConfig, trainers: Trainer<TokenBatch>[], failures: string[]): Promise<Side[]> {
  const vocabulary = vocabularyOf(config);
  const tokens = config.train.batchSize * config.model.contextLength;
  const flops = tokens * languageModelSize(config, vocabulary).flopsPerToken;
  const sides: Side[] = [];
  const attempt = async (who: string, open: () => Promise<Contestant>): Promise<void> => {
    try {
      sides.push({ model, who, config, flops, contestant: await open() });
    } catch (error) {
      if (!isXMoEError(error)) throw error;
      failures.push(`${model} in ${config.train.precision} by ${who}: ${error.message.slice(0, 120)}`);
    }
  };
  await attempt(ours.name, async () => {
    const contestant = stepContestant(ours.engine, config, ours.name, trainers);
    await contestant.run();
    return contestant;
  });
  // Autocast to float16 needs a GPU.
  if (torch && (config.train.precision === 'float32' || torch.device === 'cuda')) await attempt(torch.name, () => torch.prepareModel(torchModel(config, vocabulary)));
  return sides;
}

function rowOf({ model, who, config, flops }: Side, dtype: FloatDType, sides: readonly Side[], timings: readonly Timing[], index: number): Row {
  const timing = timings[index]!;
  const tokens = config.train.batchSize * config.model.contextLength;
  const timingOf = (fits: (side: Side) => boolean): Timing | undefined => timings[sides.findIndex(fits)];
  const dense = timingOf((side) => side.who === who && side.config.moe === null);
  const ours = timingOf((side) => side.model === model && side !== sides[index]);
  return {
    model, dtype, who, minMs: timing.min, medianMs: timing.median, tokensPerSecond: (1000 * tokens) / timing.median, tflops: flops / timing.min / 1e9,
    ...(dense ? { overDense: ratioOf(timing, dense).min } : {}), ...(who === 'PyTorch' && ours ? verdict(ratioOf(timing, ours), null) : {}),
  };
}
