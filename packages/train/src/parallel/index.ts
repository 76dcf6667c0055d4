// Public exports of the parallel-text pipeline.
export * from './special-tokens.js';
export * from './pairs.js';
export * from './parallel-batch.js';
export { readParallelIndex, type ParallelIndex, type ParallelSplitIndex } from './parallel-index.js';
export * from './collate-pairs.js';
export * from './parallel-sampler.js';
export { openParallelDataset, type OpenParallelOptions } from './open-parallel-dataset.js';
