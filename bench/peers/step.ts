// One train step of a preset on our CPU engine beside the same model through the TensorFlow.js wasm adapter, and as a share of
// what our own matrix product reaches.
import { matmul, type Tensor } from '@xmoe/core';
import { languageModelSize } from '@xmoe/models';
import type { TokenBatch } from '@xmoe/text';
import type { Trainer } from '@xmoe/train';
import { loadLanguagePreset } from '@xmoe/models/presets';
import { disposeAll, normalTensor, type Device } from '../forward-backward.js';
import { measureInterleaved, ratioOf, type Contestant, type MeasureOptions, type Timing } from '../measure.js';
import { gemmShapes } from '../shapes.js';
import type { Row, Table } from '../table.js';
import { QUICK_BATCH, stepContestant, vocabularyOf } from '../train-step.js';
import { TARGETS, verdict, verdictColumns } from './target.js';

const PRESETS = ['tiny', 'small'] as const;

/** `tfjs` is null where it is absent. */
export async function benchPeerStep(ours: Device, tfjs: Device | null, quick: boolean, options: MeasureOptions): Promise<Table[]> {
  const rows: Row[] = [];
  for (const preset of PRESETS) rows.push(...(await compare(preset, ours, tfjs, quick, options)));
  return [{
    id: 'peers-step',
    title: 'Train step beside TensorFlow.js wasm',
    note: 'One update (forward, backward, clipping, AdamW) on random tokens, by the same program on both backends. FLOPs are those of the matrix products, '
      + `budgeted experts and causal half of the attention. Of GEMM: the rate / that of our own ${gemmShapes(quick)[0].label} product in the same rounds.`,
    columns: [
      { key: 'preset', label: 'preset' }, { key: 'who', label: 'backend' }, { key: 'minMs', label: 'min ms/step' }, { key: 'medianMs', label: 'median ms/step' },
      { key: 'tokensPerSecond', label: 'tokens/s', digits: 0 }, { key: 'gflops', label: 'GFLOP/s', digits: 1 }, { key: 'share', label: 'of GEMM', digits: 3 },
      ...verdictColumns('ours / peer'),
    ],
    rows,
  }];
}

async function compare(preset: string, ours: Device, tfjs: Device | null, quick: boolean, options: MeasureOptions): Promise<Row[]> {
  const config = loadLanguagePreset(preset, { set: quick ? QUICK_BATCH : [] });
  const trainers: Trainer<TokenBatch>[] = [];
  const devices = tfjs ? [ours, tfjs] : [ours];
  const probe = gemmProbe(ours, quick);
  const contestants = [probe.contestant, ...devices.map(({ engine }) => stepContestant(engine, config, preset, trainers))];
  const [gemm, ...timings] = await measureInterleaved(contestants, options);
  for (const trainer of trainers) trainer.dispose();
  disposeAll(probe.kept);
  const tokens = config.train.batchSize * config.model.contextLength;
  const vocabulary = vocabularyOf(config);
  const flops = tokens * languageModelSize(config, vocabulary).flopsPerToken;
  const cells = (timing: Timing, index: number): Row => ({
    preset, who: devices[index].name, minMs: timing.min, medianMs: timing.median, tokensPerSecond: (1000 * tokens) / timing.min,
    gflops: flops / timing.min / 1e6, share: flops / timing.min / (probe.flops / gemm.min),
  });
  return timings.map((timing, index) => (index === 0 ? cells(timing, index) : { ...cells(timing, index), ...verdict(ratioOf(timing, timings[0]), TARGETS.step) }));
}

function gemmProbe({ name, engine }: Device, quick: boolean): { contestant: Contestant; flops: number; kept: Tensor[] } {
  const { M, K, N } = gemmShapes(quick)[0];
  const [a, b] = [normalTensor(engine, [M, K], 1), normalTensor(engine, [K, N], 2)];
  return { contestant: { name, run: async () => matmul(a, b).dispose() }, flops: 2 * M * K * N, kept: [a, b] };
}
