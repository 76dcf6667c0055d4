// The entry @xmoe/text/node: files, shards, readers of rows and pairs, preparation.
export { locateCorpus, type LayoutFile, type CorpusLayout } from './data/corpus-layout.js';
export { openShards, type OpenShardsOptions, type TokenDataset, type Verification } from './data/open-shards.js';
export { FEW_DOCUMENTS, planSplits, type SplitPlan } from './data/plan-splits.js';
export { prepareShards, checkSplit, type PrepareShardsOptions, type PrepareProgress, type PreparedShards } from './data/prepare-shards.js';
export { readDocuments, type ReadDocumentsOptions, type DocumentStream } from './data/read-documents.js';
export {
  dataFingerprint, fingerprintFiles, fingerprintOf, fingerprintSources, watchFiles, type ShardEntry, type ShardIndex, type SplitIndex,
} from './data/shard-index.js';
export { listSourceFiles, type SourceFile, type SourceFormat } from './data/source-files.js';
export { DEFAULT_FRACTIONS, createSplitter, splitDocuments, type SplitFractions, type SplitDocument, type Splitter } from './data/split-documents.js';
export { splitStream, type SplitStreamOptions } from './data/split-stream.js';
export { openParallelDataset, type OpenParallelOptions } from './parallel/open-parallel-dataset.js';
export {
  fingerprintPairSources, parsePairSource, type FieldName, type PairFields, type PairFileSource, type PairFormat,
} from './parallel/pair-sources.js';
export { readParallelIndex, type ParallelIndex, type ParallelSplitIndex } from './parallel/parallel-index.js';
export {
  prepareParallel, type PrepareParallelOptions, type VocabularyOptions, type ParallelProgress, type PreparedParallel,
} from './parallel/prepare-parallel.js';
export { readPairs, pairCorpusOfFiles, type ReadPairsOptions, type FilePairStream } from './parallel/read-pairs.js';
export type { Stage } from './parallel/stage-directory.js';
export { loadTokenizer } from './tokenizers/load-tokenizer.js';
