// The trainer of a model as the `train` section of its configuration asks for it. What a batch is, the model says; the loop around it is not here.
import type { Engine, LayerState, ParameterSpec, Tensor } from '@xmoe/core';
import type { RankGroups } from '@xmoe/distributed';
import type { RoutingTrace } from '@xmoe/moe';
import { createTrainer, type LossFunction, type Trainer, type TrainerOptions } from '@xmoe/train';
import { routingReader, type RoutedSections } from '../routing-reader.js';
import { optimizerOf, scheduleOf, type TrainingKeys } from './training.js';

/** What is trained. */
export interface TrainedModel<Device> extends Pick<LossFunction<never, Device, RoutingTrace>, 'loss'> {
  readonly parameters: readonly ParameterSpec[];
  readonly states?: readonly LayerState[];
}

/** How its batches reach the device, and how many targets one has. */
export type TrainingBatches<Host, Device> = Pick<TrainerOptions<Host, Device, RoutingTrace>, 'upload' | 'shapeOf' | 'countTargets'>;

/** @throws XMoEError `backend` when the configuration asks for float16 and the backend has none */
export function createConfiguredTrainer<Host, Device>(
  engine: Engine,
  config: RoutedSections & { readonly train: TrainingKeys },
  model: TrainedModel<Device>,
  parameters: Record<string, Tensor>,
  batches: TrainingBatches<Host, Device>,
  ranks?: RankGroups,
): Trainer<Host> {
  const { train } = config;
  return createTrainer<Host, Device, RoutingTrace>({
    engine,
    specs: model.parameters,
    ...(model.states ? { states: model.states } : {}),
    parameters,
    optimizer: optimizerOf(train),
    schedule: scheduleOf(train),
    seed: train.seed,
    computeDType: train.precision,
    ...(ranks ? { ranks } : {}),
    ...(train.shardOptimizer ? { shardOptimizer: true } : {}),
    ...(train.reduction ? { reduction: train.reduction } : {}),
    ...batches,
    loss: (weights, batch, context, options) => model.loss(weights, batch, context, options),
    summarizeTrace: routingReader(config, 3),
  });
}
