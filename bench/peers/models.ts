// Train steps on our CPU engine beside PyTorch models of the same shapes: the preset `small`, and the dense model of 124M on few tokens.
import { languageModelSize } from '@xmoe/models';
import { loadLanguagePreset } from '@xmoe/models/presets';
import type { TokenBatch } from '@xmoe/text';
import type { Trainer } from '@xmoe/train';
import type { Device } from '../forward-backward.js';
import { measureInterleaved, ratioOf, type MeasureOptions } from '../measure.js';
import type { Row, Table } from '../table.js';
import { QUICK_BATCH, stepContestant, vocabularyOf } from '../train-step.js';
import { TARGETS, verdict, verdictColumns } from './target.js';
import { torchModel } from './torch-model.js';
import type { TorchPeer } from './torch.js';

interface Model {
  readonly preset: string;
  readonly set: readonly string[];
}

const MODELS: readonly Model[] = [
  { preset: 'small', set: [] },
  // What PyTorch's model does here too: float32, nothing dropped, activations kept.
  {
    preset: '124m-dense',
    set: ['train.batchSize=1', 'train.accumulation=1', 'model.contextLength=256', 'train.precision=float32', 'model.dropout=0', 'model.checkpointing=false'],
  },
];
/** Shows that it runs. */
const QUICK: Model = { preset: 'tiny', set: QUICK_BATCH };

export async function benchPeerModels(ours: Device, torch: TorchPeer, quick: boolean, options: MeasureOptions): Promise<Table> {
  const rows: Row[] = [];
  for (const model of quick ? [QUICK] : MODELS) rows.push(...(await compare(model, ours, torch, options)));
  return {
    id: 'peers-models',
    title: 'Train step beside PyTorch',
    note: 'One update (forward, backward, clipping, AdamW) on random tokens, in float32. FLOPs are those of the matrix products, budgeted experts and causal half of the attention. PyTorch: '
      + 'the same shapes, its own attention, experts in every second layer with even loads and without selection; AdamW as it comes, and in one pass (`fused=True`).',
    columns: [
      { key: 'model', label: 'model' }, { key: 'tokens', label: 'tokens', digits: 0 }, { key: 'who', label: 'library' }, { key: 'minMs', label: 'min ms/step' }, { key: 'medianMs', label: 'median ms/step' },
      { key: 'gflops', label: 'GFLOP/s', digits: 1 }, ...verdictColumns('ours / peer'),
    ],
    rows,
  };
}

async function compare({ preset, set }: Model, ours: Device, torch: TorchPeer, options: MeasureOptions): Promise<Row[]> {
  const config = loadLanguagePreset(preset, { set: [...set] });
  const vocabulary = vocabularyOf(config);
  const trainers: Trainer<TokenBatch>[] = [];
  const shape = torchModel(config, vocabulary);
  const contestants = [stepContestant(ours.engine, config, ours.name, trainers), await torch.prepareModel(shape), await torch.prepareModel({ ...shape, fused: true })];
  const names = [ours.name, torch.name, `${torch.name}, fused AdamW`];
  const timings = await measureInterleaved(contestants, options);
  for (const trainer of trainers) trainer.dispose();
  await torch.drop();
  const tokens = config.train.batchSize * config.model.contextLength;
  const flops = tokens * languageModelSize(config, vocabulary).flopsPerToken;
  return timings.map((timing, index) => ({
    model: preset, tokens, who: names[index], minMs: timing.min, medianMs: timing.median, gflops: flops / timing.min / 1e6,
    ...(index === 0 ? {} : verdict(ratioOf(timing, timings[0]), TARGETS.model)),
  }));
}
