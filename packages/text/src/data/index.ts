// Public exports of the data pipeline.
export type { DocumentSource, MalformedRow, MalformedSummary, TextDocument } from './documents.js';
export { listSourceFiles, type SourceFile, type SourceFormat } from './source-files.js';
export * from './read-documents.js';
export * from './split-documents.js';
export { splitStream, type SplitStreamOptions } from './split-stream.js';
export * from './corpus-layout.js';
export * from './plan-splits.js';
export { dataFingerprint, fingerprintFiles, fingerprintOf, fingerprintSources, watchFiles, type ShardEntry, type ShardIndex, type SplitIndex } from './shard-index.js';
export * from './prepare-shards.js';
export { openShards, type OpenShardsOptions, type TokenDataset, type TokenSplit, type Verification } from './open-shards.js';
export * from './array-split.js';
export * from './batch-sampler.js';
export * from './evaluation-windows.js';
export * from './ngram-baselines.js';
