// The keys of a `train` section that all programs share, and what they ask of the optimiser and the schedule.
import type { AdamWConfig, ScheduleConfig } from '@xmoe/nn';
import { z } from 'zod';
import type { ConfigProblem } from './experts.js';
import { count, countFromZero, floatFromZero, positiveFloat, share, whole } from './ranges.js';

/** For `z.object({ ...trainingShape, … })`. */
export const trainingShape = {
  steps: count,
  schedule: z.enum(['cosine', 'inverse-square-root', 'constant']).default('cosine'),
  learningRate: positiveFloat,
  finalLearningRate: floatFromZero.default(0),
  /** Of a preset they go with its steps: see {@link scaledWarmup}. */
  warmupSteps: countFromZero,
  beta1: share.default(0.9),
  beta2: share.default(0.95),
  epsilon: positiveFloat.default(1e-8),
  weightDecay: floatFromZero.default(0.1),
  /** 0: gradients are not clipped. */
  clipNorm: floatFromZero.default(1),
  precision: z.enum(['float32', 'float16']).default('float32'),
  /**
   * How the gradients of micro-batches become one: `device` in one process; `deterministic` with the same bits on 1, 2, 4, 8 … ranks; `fast` each to
   * the sum of those before, with bits that depend on that number. Absent: `device` in a run that no launcher started, else `deterministic`.
   */
  reduction: z.enum(['device', 'deterministic', 'fast']).optional(),
  /** Ranks over which the experts of every layer are spread; the others hold copies of them in groups of as many. Absent: 1, each rank has all experts. */
  expertParallel: count.optional(),
  /** Each rank keeps the moments of a part of what it holds, and changes that part. Left out: of all. */
  shardOptimizer: z.boolean().optional(),
  seed: whole(0, Number.MAX_SAFE_INTEGER).default(1),
  /** Steps between two evaluations; 0: only at the end. */
  evalEvery: countFromZero,
  checkpointEvery: count,
  keepCheckpoints: whole(1, 1_000_000).default(2),
  /** Steps between two rows of routing statistics. */
  routingEvery: count.default(10),
};

const shapeSchema = z.object(trainingShape);
export type TrainingKeys = z.output<typeof shapeSchema>;

/** Keys of the section that a run may change when it goes on. Those of the first row change what it computes from there. */
export const RESUMABLE_TRAINING_KEYS = [
  'steps', 'learningRate', 'finalLearningRate', 'clipNorm', 'reduction', 'expertParallel', 'shardOptimizer',
  'evalEvery', 'checkpointEvery', 'keepCheckpoints', 'routingEvery',
].map((key) => `train.${key}`);

/** What is wrong with the section beyond its schema. `before`: that of the run to go on with, which is past its warm-up. */
export function trainingProblems({ steps, warmupSteps, learningRate, finalLearningRate }: TrainingKeys, before?: TrainingKeys): ConfigProblem[] {
  return [
    ...(finalLearningRate > learningRate
      ? [{ problem: `train.finalLearningRate ${finalLearningRate} exceeds train.learningRate ${learningRate}`, hint: 'lower --final-learning-rate as well' }]
      : []),
    ...(before === undefined && warmupSteps > 0 && warmupSteps >= steps
      ? [{ problem: `train.warmupSteps ${warmupSteps} is not less than train.steps ${steps}: the learning rate would never be reached`, hint: 'lower --warmup-steps, or leave it out to keep the share of the preset' }]
      : []),
  ];
}

/** What is wrong with `train.expertParallel` for so many experts; null: a dense model. */
export function spreadProblems({ expertParallel = 1 }: Pick<TrainingKeys, 'expertParallel'>, experts: number | null): ConfigProblem[] {
  if (expertParallel === 1) return [];
  if (experts === null) return [{ problem: `train.expertParallel ${expertParallel}: a dense model has no experts to spread`, hint: 'leave it out' }];
  return expertParallel <= experts ? [] : [{ problem: `train.expertParallel ${expertParallel} exceeds moe.experts ${experts}: some ranks would hold none`, hint: `${experts} or less` }];
}

/** Of a model of so many values, what each of `ranks` ranks holds and whose moments it keeps; `elsewhere`: values that it does not hold. */
export function valuesOfRank({ expertParallel = 1, shardOptimizer = false }: Pick<TrainingKeys, 'expertParallel' | 'shardOptimizer'>, { values, elsewhere, ranks }: { values: number; elsewhere: number; ranks: number }): { parameters: number; moments: number } {
  const parameters = values - elsewhere;
  return { parameters, moments: shardOptimizer ? Math.ceil(values / Math.max(ranks, expertParallel)) : parameters };
}

/** The warm-up of a preset whose steps are changed: the same share of them. */
export function scaledWarmup(preset: Pick<TrainingKeys, 'steps' | 'warmupSteps'>, steps: number): number {
  return Math.min(steps - 1, Math.round((preset.warmupSteps / preset.steps) * steps));
}

export function optimizerOf({ beta1, beta2, epsilon, weightDecay, clipNorm }: TrainingKeys): AdamWConfig {
  return { beta1, beta2, epsilon, weightDecay, clipNorm };
}

export function scheduleOf({ schedule: type, learningRate: peak, finalLearningRate: final, warmupSteps, steps: totalSteps }: TrainingKeys): ScheduleConfig {
  return type === 'cosine' ? { type, peak, final, warmupSteps, totalSteps } : { type, peak, warmupSteps };
}
