// Public exports of the trainer folder.
export * from './trainer.js';
export * from './run-training.js';
