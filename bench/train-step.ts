// One update of the `tiny` preset, data loading and reports aside: forward, backward, clipping, AdamW. XMoE and the dense
// model of equal FLOPs take turns on every backend.
import { hostUniform, initializeParameters, randomKey, type Engine } from '@xmoe/core';
import { createLanguageModelFromConfig, createLanguageModelTrainer, type LanguageConfig } from '@xmoe/models';
import type { TokenBatch } from '@xmoe/text';
import type { Trainer } from '@xmoe/train';
import { loadLanguagePreset } from '@xmoe/models/presets';
import type { Device } from './forward-backward.js';
import { measureInterleaved, ratioOf, type Contestant, type MeasureOptions } from './measure.js';
import type { Table } from './table.js';

const PRESET = 'tiny';
const BATCHES = 16;
export const QUICK_BATCH = ['train.batchSize=1', 'model.contextLength=16'];

export async function benchTrainStep(devices: readonly Device[], quick: boolean, options: MeasureOptions): Promise<Table[]> {
  const set = quick ? QUICK_BATCH : [];
  const sparse = loadLanguagePreset(PRESET, { set });
  const dense = { ...sparse, moe: null };
  const trainers: Trainer<TokenBatch>[] = [];
  const contestants = devices.flatMap(({ engine }) => [stepContestant(engine, sparse, 'XMoE', trainers), stepContestant(engine, dense, 'dense', trainers)]);
  const timings = await measureInterleaved(contestants, options);
  for (const trainer of trainers) trainer.dispose();
  const tokens = sparse.train.batchSize * sparse.model.contextLength;
  const rows = timings.map((timing, index) => ({
    model: contestants[index].name,
    backend: devices[index >> 1].name,
    minMs: timing.min,
    medianMs: timing.median,
    tokensPerSecond: (1000 * tokens) / timing.median,
    overDense: ratioOf(timing, timings[index | 1]).min,
  }));
  return [{
    id: 'train-step',
    title: `Train step of the preset ${PRESET}`,
    note: `${describeConfig(sparse)}; ${tokens} tokens a step, drawn at random by Zipf's law. Dense: the same model with hidden size ${dense.model.hidden} in all layers `
      + `(γ·s is ${sparse.moe!.capacityFactor * sparse.moe!.expertHidden}). Tokens/s are from the median; the ratio to dense from the shortest times.`,
    columns: [
      { key: 'model', label: 'model' }, { key: 'backend', label: 'backend' }, { key: 'minMs', label: 'min ms/step' }, { key: 'medianMs', label: 'median ms/step' },
      { key: 'tokensPerSecond', label: 'tokens/s', digits: 0 }, { key: 'overDense', label: '× dense' },
    ],
    rows,
  }];
}

export function describeConfig({ model, moe }: LanguageConfig): string {
  const { experts, expertHidden, router, dispatch, capacityFactor } = moe!;
  return `${model.layers} layers, d = ${model.width}, ${experts}×${expertHidden} experts in every ${moe!.every === 2 ? 'second' : `${moe!.every}th`} layer, ${router.type} router, ${dispatch} dispatch, γ = ${capacityFactor}`;
}

/** Steps of a new trainer, which goes into `trainers`, to be disposed by the caller. */
export function stepContestant(engine: Engine, config: LanguageConfig, name: string, trainers: Trainer<TokenBatch>[]): Contestant {
  const trainer = createStepTrainer(engine, config);
  trainers.push(trainer);
  const batches = Array.from({ length: BATCHES }, (_, index) => zipfBatch(config, index));
  let next = 0;
  return {
    name,
    async run() {
      await trainer.step([batches[next++ % BATCHES]], { collectRouting: false });
    },
  };
}

/** A trainer of a new model at a constant learning rate. */
export function createStepTrainer(engine: Engine, config: LanguageConfig): Trainer<TokenBatch> {
  const model = createLanguageModelFromConfig(config, vocabularyOf(config));
  const parameters = initializeParameters(engine, model.parameters, randomKey(config.train.seed));
  const constant: LanguageConfig = { ...config, train: { ...config.train, schedule: 'constant' } };
  return createLanguageModelTrainer(engine, constant, model, parameters);
}

export function vocabularyOf({ data: { tokenizer } }: LanguageConfig): number {
  return tokenizer.type === 'bpe' ? tokenizer.vocabularySize : 50_257;
}

/** Windows of tokens whose id r appears about as 1 / (r + 1): as uneven as words. */
export function zipfBatch(config: LanguageConfig, index: number): TokenBatch {
  const { contextLength } = config.model;
  const vocabulary = vocabularyOf(config);
  const uniform = hostUniform(randomKey(index), config.train.batchSize * (contextLength + 1));
  const ids = Int32Array.from(uniform, (u) => Math.min(vocabulary - 1, Math.floor((vocabulary + 1) ** u) - 1));
  const window = (shift: number): Int32Array =>
    Int32Array.from({ length: config.train.batchSize * contextLength }, (_, at) => ids[Math.floor(at / contextLength) * (contextLength + 1) + (at % contextLength) + shift]);
  return { inputs: window(0), targets: window(1) };
}
