// Public exports of the trainer folder.
export { mergeRouting, type LayerRouting, type RoutingByLayer } from './layer-routing.js';
export { MOST_SKIPPED, runTraining, type BatchSource, type Evaluation, type RunOutcome, type RunTrainingOptions } from './run-training.js';
export { createTrainer, type StepReport, type Trainer, type TrainerOptions } from './trainer.js';
export { loadParameters, type TrainerState, type TrainerTensors } from './trainer-state.js';
export type { LossFunction, LossParts } from './update.js';
