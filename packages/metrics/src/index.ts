// The public surface of @xmoe/metrics.
export { createBleu, corpusBleu, sentenceBleu, formatBleu, type Smoothing, type BleuOptions, type BleuScore } from './bleu.js';
export {
  bootstrapScore, pairedBootstrap, type BootstrapOptions, type BootstrapScore, type ComparedScore, type PairedBootstrap,
} from './bootstrap.js';
export { createChrf, corpusChrf, sentenceChrf, type ChrfOptions, type ChrfScore } from './chrf.js';
export { MetricsError } from './errors.js';
export { bleuTokenizerFor } from './languages.js';
export { formatFixed, SACREBLEU_VERSION, scoreCorpus, type Metric, type MetricScore, type SignedScore } from './metric.js';
export type { References } from './references.js';
export { tokenizerNames, tokenizerOf, type Tokenize, type TokenizerName } from './tokenizers.js';
