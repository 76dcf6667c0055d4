// The entry @xmoe/models/sections: what configurations of programs that train are made of, for those who write one. It runs in a page.
export { createConfiguredTrainer, type TrainedModel, type TrainingBatches } from './configured-trainer.js';
export {
  activeExpertWeights, denseParameters, droplessExperts, EXPERT_FLAG_ALIASES, expertParameters, expertSettings, expertsProblems, expertsSchema,
  hasThreshold, replaceRouter, ROUTER_NAMES, type ConfigProblem, type ExpertsConfig,
} from './experts.js';
export { batchCount, count, countFromZero, floatFromZero, layerCount, layerSize, modelWidth, positiveFloat, share, whole } from './ranges.js';
export { RESUMABLE_TRAINING_KEYS, scaledWarmup, spreadProblems, trainingProblems, trainingShape, type TrainingKeys } from './training.js';
