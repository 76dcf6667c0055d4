// The public surface of @xmoe/metrics.
export * from './bleu.js';
export * from './bootstrap.js';
export * from './chrf.js';
export { MetricsError } from './errors.js';
export { bleuTokenizerFor } from './languages.js';
export { formatFixed, SACREBLEU_VERSION, scoreCorpus, type Metric, type MetricScore, type SignedScore } from './metric.js';
export type { References } from './references.js';
export { tokenizerNames, tokenizerOf, type Tokenize, type TokenizerName } from './tokenizers.js';
