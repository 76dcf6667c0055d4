// The public surface of @xmoe/text: what runs in browsers too. Files, shards and preparation are @xmoe/text/node.
export { createArraySplit } from './data/array-split.js';
export { createBatchSampler, type BatchSamplerOptions, type TokenBatch, type BatchSamplerState, type BatchSampler } from './data/batch-sampler.js';
export type { DocumentSource, MalformedRow, MalformedSummary, TextDocument } from './data/documents.js';
export { IGNORED_TARGET, evaluationWindows, type EvaluationBatch, type EvaluationOptions } from './data/evaluation-windows.js';
export { bitsPerByte, ngramBaselines, type NgramBaselines, type NgramBaselineOptions } from './data/ngram-baselines.js';
export { splitNames, type SplitName, type HeldOut } from './data/splits.js';
export type { TokenSplit } from './data/token-split.js';
export {
  cleaningFilters, createPairCleaner, type CleaningCounts, type CleaningFilter, type CleaningOptions, type DroppedPair, type PairCleaner,
} from './parallel/clean-pairs.js';
export { collatePairs, type CollateOptions } from './parallel/collate-pairs.js';
export type { HoldOutCounts } from './parallel/hold-out.js';
export { createNearDuplicateIndex, type Match, type NearDuplicateIndex } from './parallel/near-duplicates.js';
export { matchKey, normaliseText } from './parallel/normalise-text.js';
export type { TextPair, LanguagePair, PairStream, PairCorpus } from './parallel/pairs.js';
export type {
  ParallelBatch, TokenPair, ParallelSplit, ParallelDataset, ParallelSamplerState, ParallelSampler, BatchShape, BatchShapeOptions,
  ParallelSamplerOptions, EvaluationBatchOptions,
} from './parallel/parallel-batch.js';
export type { LeakCounts, PairsReport, ParallelReport, SplitReport } from './parallel/parallel-report.js';
export { createParallelSampler, evaluationBatches } from './parallel/parallel-sampler.js';
export { scriptsOf, type Script } from './parallel/scripts.js';
export { PADDING, BEGIN_OF_SENTENCE, END_OF_SENTENCE, translationTokensOf, type TranslationTokens } from './parallel/special-tokens.js';
export { createBytePairTokenizer, type BytePairDefinition, type BytePairTokenizer } from './tokenizers/byte-pair-tokenizer.js';
export { tokenTexts } from './tokenizers/token-texts.js';
export { tokenizerToJson, tokenizerFromJson } from './tokenizers/tokenizer-json.js';
export { END_OF_TEXT, type EncodeOptions, type Tokenizer } from './tokenizers/tokenizer.js';
export { trainBpe, type TrainBpeOptions } from './tokenizers/train-bpe.js';
export { tokenizerFromVocabulary, type VocabularyFiles } from './tokenizers/vocabulary-files.js';
