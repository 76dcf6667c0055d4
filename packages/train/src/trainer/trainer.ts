// One optimiser update after another, reported in numbers, with the state that a resumed run needs. Not the loop around it
// (run-training.ts), and not a model: the loss is a function that the program passes in.
import { collectTensors, XMoEError, type Engine, type FloatDType, type LayerState, type ParameterSpec, type Parameters } from '@xmoe/core';
import { oneGroup, SoloComm, type RankGroups } from '@xmoe/distributed';
import { createAdamW, isFiniteNorm, learningRateAt, type AdamWConfig, type ScheduleConfig } from '@xmoe/nn';
import type { LayerRouting, RoutingByLayer } from './layer-routing.js';
import { readNumbers } from './micro-batch-numbers.js';
import { mostMicroBatches } from './micro-batch-share.js';
import { createOptimizerShards, wholeOptimizer } from './optimizer-shards.js';
import type { Reduction } from './reduction.js';
import { createSharedUpdate } from './shared-update.js';
import {
  initialTrainerState, nextTrainerState, readTrainerTensors, trainedTensors, writeTrainerTensors,
  type RestorableTensor, type TrainedTensors, type TrainerPlaces, type TrainerState, type TrainerTensors,
} from './trainer-state.js';
import { requirePrecision } from './precision.js';
import { createUpdate, type LossFunction } from './update.js';

export interface TrainerOptions<Host, Device, Trace> extends LossFunction<Host, Device, Trace> {
  readonly engine: Engine;
  readonly specs: readonly ParameterSpec[];
  /** Float32 master weights, and states, updated in place. */
  readonly parameters: Parameters;
  /** What moves those of `specs` that are not trained, once per update. Default: nothing. */
  readonly states?: readonly LayerState[];
  readonly optimizer: AdamWConfig;
  readonly schedule: ScheduleConfig;
  readonly seed: number;
  readonly computeDType: FloatDType;
  /** Number of targets in a micro-batch. */
  countTargets(batch: Host): number;
  /** Reads a layer's trace. */
  summarizeTrace(trace: Trace): Promise<LayerRouting>;
  /** The ranks that train together, each with all batches, and which of them hold the experts of `specs` together. Default: this process alone. */
  readonly ranks?: RankGroups;
  /** How their gradients, and those of micro-batches, become one. Default: `device` alone, else `deterministic`. */
  readonly reduction?: Reduction;
  /** Each rank keeps moments of a part of what it holds, and changes that part. Default false: of all. */
  readonly shardOptimizer?: boolean;
}

export interface StepReport {
  /** Updates done, this one included. */
  step: number;
  /** Cross-entropy + auxiliary loss, and its parts, in nats per target. */
  loss: number;
  crossEntropy: number;
  auxLoss: number;
  learningRate: number;
  /** Global norm before clipping. */
  gradientNorm: number;
  /** The update changed nothing, because the norm was not finite. */
  skipped: boolean;
  /** Updates so far that changed nothing. */
  skippedUpdates: number;
  lossScale: number;
  targets: number;
  /** Routing by layer over the micro-batches, when asked for. */
  routing: RoutingByLayer | null;
}

export interface Trainer<Host> {
  readonly state: TrainerState;
  /** One update from the micro-batches of it: all of them, also where ranks share them out. */
  step(batches: readonly Host[], options: { collectRouting: boolean }): Promise<StepReport>;
  /** What a checkpoint holds, by group, each to be downloaded by itself. */
  readonly trained: TrainedTensors;
  /** Whole tensors by checkpoint group, all at once. Where ranks train together all of them call it, and all get them. */
  tensors(): Promise<TrainerTensors>;
  /** Puts a checkpoint back, whose tensors may be in files yet. Every tensor must be there in its shape; nothing changes otherwise. */
  restore(state: TrainerState, tensors: Readonly<Record<string, readonly RestorableTensor[]>>, where: string): Promise<void>;
  dispose(): void;
}

/**
 * A trainer of `parameters` with AdamW. In float16 the loss is scaled dynamically; a gradient that is not finite skips the
 * update in every precision.
 * @throws XMoEError `backend` when the compute dtype is float16 and the backend has none
 */
export function createTrainer<Host, Device, Trace>(options: TrainerOptions<Host, Device, Trace>): Trainer<Host> {
  const { engine, specs, parameters } = options;
  requirePrecision(engine.backend, options.computeDType);
  const half = options.computeDType === 'float16';
  const { ranks = oneGroup(new SoloComm()), reduction = ranks.world.size === 1 ? 'device' : 'deterministic' } = options;
  const comm = ranks.world;
  const isSharded = options.shardOptimizer === true && comm.size > 1;
  const shards = isSharded ? createOptimizerShards(specs, ranks) : wholeOptimizer(specs);
  const optimizer = createAdamW(engine, shards.specs, options.optimizer);
  const places: TrainerPlaces = { specs, parameters, optimizer, shards: shards.specs, ranks, isSharded };
  if (reduction === 'device' && comm.size > 1) {
    throw new XMoEError('config', `the gradients of ${comm.size} ranks do not meet on a device`, { op: 'trainer', hint: '--set train.reduction=deterministic, or fast' });
  }
  const update = reduction === 'device' ? createUpdate({ ...options, optimizer }) : createSharedUpdate({ ...options, optimizer, ranks, shards, isSharded, reduction });
  const trained = trainedTensors(places);
  let state = initialTrainerState(half);

  return {
    trained,
    get state() {
      return state;
    },
    async step(batches, { collectRouting }) {
      if (batches.length === 0) throw new XMoEError('value', 'an update needs a micro-batch, got none', { op: 'trainer.step', hint: 'pass one or more' });
      const { step, skippedUpdates, lossScale: { scale: lossScale } } = state;
      const targets = batches.reduce((sum, batch) => sum + options.countTargets(batch), 0);
      const learningRate = learningRateAt(options.schedule, step);
      const result = await update.run({ batches, step, targets, learningRate, lossScale, collectRouting, adamStep: step + 1 - skippedUpdates });
      try {
        // Both reads begin at once: a device is waited for once.
        const [gradientNorm, numbers] = await Promise.all([
          result.norm.item(),
          readNumbers(comm, result, mostMicroBatches(ranks, batches.length), collectRouting ? options.summarizeTrace : null),
        ]);
        if (result.warmUp) await engine.backend.tune?.();
        const skipped = !isFiniteNorm(gradientNorm);
        state = nextTrainerState(state, { targets, skipped, half });
        return { step: state.step, ...numbers, gradientNorm, learningRate, skipped, skippedUpdates: state.skippedUpdates, lossScale, targets };
      } finally {
        for (const tensor of collectTensors(result)) tensor.dispose();
      }
    },
    tensors: () => readTrainerTensors(trained, ranks),
    async restore(saved, tensors, where) {
      await writeTrainerTensors(places, tensors, where);
      state = structuredClone(saved);
    },
    dispose() {
      optimizer.dispose();
      update.dispose();
    },
  };
}
