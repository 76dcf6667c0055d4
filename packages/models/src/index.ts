// From a configuration to a model, and to what one can say of it without running it; translating and generating with it. The entry
// @xmoe/models runs in a page; presets, what reads files, and the parts of configurations for programs of one's own are other entries.
export { checkSamplingOptions, DEFAULT_SAMPLING, generateTokens, type SamplingOptions } from './language/generate-tokens.js';
export { languageConfigProblems, languageRunSchema, readLanguageConfig, type LanguageConfig } from './language/language-config.js';
export { modelCard, type CardFigure, type ModelCardFacts } from './hugging-face/model-card.js';
export {
  createLanguageModelFromConfig, droplessLanguageConfig, languageLayerHasExperts, languageMemoryNeeds, languageModelSize, languageVocabulary,
  type LanguageModelOptions, type LanguageModelSize, type XMoELanguageModel,
} from './language/language-model.js';
export { createLanguageModelTrainer } from './language/language-trainer.js';
export { createTextGenerator, type GenerationEnd, type GenerationRequest, type TextGenerator, type TextGeneratorOptions } from './language/text-generator.js';
export { bytesOf, bytesOfModel, type MemoryKnob, type MemoryNeeds } from './memory-needs.js';
export {
  openLanguageRun, openRun, openTranslationRun, type LanguageRun, type RunContents, type RunFiles, type TranslationRun,
} from './run/open-run.js';
export { expertsOverDense, routingReader, type RoutedSections } from './routing-reader.js';
export type { ReadConfigOptions } from './sections/read-config.js';
export { uploadBatch } from './translation/device-batches.js';
export { createLineTranslator, decode, translateTexts, type LineTranslator, type LineTranslatorOptions, type ReadLines, type SourceLine, type TextTranslation } from './translation/translate-text.js';
export { readTranslationConfig, translationConfigProblems, translationRunSchema, type DecodingConfig, type TranslationConfig } from './translation/translation-config.js';
export type { DataConfig, PairFiles } from './translation/translation-data.js';
export {
  createTranslationModelFromConfig, droplessTranslationConfig, translationMemoryNeeds, translationModelSize, translationVocabulary,
  type SideName, type TranslationModelSize, type XMoETranslator,
} from './translation/translation-model.js';
export { createTranslationTrainer } from './translation/translation-trainer.js';
export { coActivationOrder, hiddenActivations } from './weights/co-activation.js';
export { fitStates, fitWeights, type UnitOrders } from './weights/fit-weights.js';
export {
  createTranslator, longestSequence, sourceLimits, type DecodingOptions, type ShareBatches, type SourceLimits, type Translator, type TranslatorOptions,
} from './translation/translator.js';
