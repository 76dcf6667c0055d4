// Public exports of the parallel-text pipeline.
export * from './special-tokens.js';
export * from './pairs.js';
export * from './parallel-batch.js';
export { readParallelIndex, type ParallelIndex, type ParallelSplitIndex } from './parallel-index.js';
export * from './collate-pairs.js';
export * from './parallel-sampler.js';
export { openParallelDataset, type OpenParallelOptions } from './open-parallel-dataset.js';
export { fingerprintPairSources, parsePairSource, type FieldName, type PairFields, type PairFileSource, type PairFormat } from './pair-sources.js';
export * from './read-pairs.js';
export { cleaningFilters, createPairCleaner, type CleaningCounts, type CleaningFilter, type CleaningOptions, type DroppedPair, type PairCleaner } from './clean-pairs.js';
export { matchKey, normaliseText } from './normalise-text.js';
export { createNearDuplicateIndex, type Match, type NearDuplicateIndex } from './near-duplicates.js';
export { scriptsOf, type Script } from './scripts.js';
export type { HoldOutCounts } from './hold-out.js';
export type { LeakCounts, PairsReport, ParallelReport, SplitReport } from './parallel-report.js';
export type { Stage } from './stage-directory.js';
export * from './prepare-parallel.js';
