// From a configuration to a model, and to what one can say of it without running it; translating and generating with it. The entry
// @xmoe/models runs in a page; presets and what reads files are entries of their own.
export { checkSamplingOptions, DEFAULT_SAMPLING, generateTokens, type SamplingOptions } from './language/generate-tokens.js';
export { languageConfigProblems, languageRunSchema, readLanguageConfig, type LanguageConfig } from './language/language-config.js';
export {
  createLanguageModelFromConfig, droplessLanguageConfig, languageLayerHasExperts, languageMemoryNeeds, languageModelSize, languageVocabulary,
  type LanguageModelSize, type XMoELanguageModel,
} from './language/language-model.js';
export { createLanguageModelTrainer } from './language/language-trainer.js';
export { bytesOf, type MemoryKnob, type MemoryNeeds } from './memory-needs.js';
export {
  openLanguageRun, openRun, openTranslationRun, type LanguageRun, type RunContents, type RunFiles, type TranslationRun,
} from './run/open-run.js';
export { expertsOverDense, routingReader, type RoutedSections } from './routing-reader.js';
export {
  activeExpertWeights, denseParameters, droplessExperts, EXPERT_FLAG_ALIASES, expertParameters, expertSettings, expertsProblems, expertsSchema,
  layerRoutingOf, replaceRouter, ROUTER_NAMES, type ConfigProblem, type ExpertsConfig,
} from './sections/experts.js';
export type { ReadConfigOptions } from './sections/read-config.js';
export { batchCount, count, countFromZero, expertCount, floatFromZero, layerCount, layerSize, modelWidth, positiveFloat, share, whole } from './sections/ranges.js';
export {
  optimizerOf, RESUMABLE_TRAINING_KEYS, scaledWarmup, scheduleOf, trainingProblems, trainingShape, type TrainingKeys,
} from './sections/training.js';
export { createUploader, disposeBatch, shapeOf, uploadBatch, uploadSources } from './translation/device-batches.js';
export { createLineTranslator, decode, translateTexts, type LineTranslator, type LineTranslatorOptions, type ReadLines, type SourceLine, type TextTranslation } from './translation/translate-text.js';
export { readTranslationConfig, translationConfigProblems, translationRunSchema, type DecodingConfig, type TranslationConfig } from './translation/translation-config.js';
export { dataSchema, type DataConfig, type PairFiles } from './translation/translation-data.js';
export {
  createTranslationModelFromConfig, droplessTranslationConfig, translationLayerHasExperts, translationMemoryNeeds, translationModelSize, translationVocabulary,
  type SideName, type TranslationModelSize, type XMoETranslator,
} from './translation/translation-model.js';
export {
  createTranslator, longestSequence, sourceLimits, type DecodingOptions, type SourceLimits, type Translator, type TranslatorOptions,
} from './translation/translator.js';
