// Public exports of the data pipeline.
export type { DocumentSource, MalformedRow, MalformedSummary, TextDocument } from './documents.js';
export { listSourceFiles, type SourceFile, type SourceFormat } from './source-files.js';
export * from './read-documents.js';
export * from './split-documents.js';
export { fingerprintOf, fingerprintSources, type ShardEntry, type ShardIndex, type SplitIndex } from './shard-index.js';
export * from './prepare-shards.js';
export { openShards, type OpenShardsOptions, type TokenDataset, type TokenSplit } from './open-shards.js';
export * from './array-split.js';
export * from './batch-sampler.js';
export * from './evaluation-windows.js';
export * from './ngram-baselines.js';
