// The keys of a `train` section that all programs share, and what they ask of the optimiser and the schedule.
import type { AdamWConfig, ScheduleConfig } from '@xmoe/nn';
import { z } from 'zod';

const positive = z.int().min(1);
const rate = z.number().min(0).max(1);

/** For `z.object({ ...trainingShape, … })`. */
export const trainingShape = {
  steps: positive,
  schedule: z.enum(['cosine', 'inverse-square-root', 'constant']).default('cosine'),
  learningRate: z.number().positive(),
  finalLearningRate: z.number().min(0).default(0),
  warmupSteps: z.int().min(0),
  beta1: rate.default(0.9),
  beta2: rate.default(0.95),
  epsilon: z.number().positive().default(1e-8),
  weightDecay: z.number().min(0).default(0.1),
  clipNorm: z.number().min(0).default(1),
  precision: z.enum(['float32', 'float16']).default('float32'),
  seed: z.int().min(0).default(1),
  evalEvery: positive,
  checkpointEvery: positive,
  keepCheckpoints: positive.default(2),
  /** Steps between two rows of routing statistics. */
  routingEvery: positive.default(10),
};

const shapeSchema = z.object(trainingShape);
export type TrainingKeys = z.output<typeof shapeSchema>;

export function optimizerOf({ beta1, beta2, epsilon, weightDecay, clipNorm }: TrainingKeys): AdamWConfig {
  return { beta1, beta2, epsilon, weightDecay, clipNorm };
}

export function scheduleOf({ schedule: type, learningRate: peak, finalLearningRate: final, warmupSteps, steps: totalSteps }: TrainingKeys): ScheduleConfig {
  return type === 'cosine' ? { type, peak, final, warmupSteps, totalSteps } : { type, peak, warmupSteps };
}
