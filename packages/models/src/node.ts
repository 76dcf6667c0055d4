// The entry @xmoe/models/node: runs opened from their directories, and weights of runs and of Hugging Face folders.
export { readHuggingFaceFolder, type HuggingFaceFolder } from './hugging-face/read-folder.js';
export { writeHuggingFaceFolder, type PublishedContents } from './hugging-face/write-folder.js';
export { openRun, type OpenRunOptions } from './run/read-run.js';
export { openTranslationWeights, type TranslationWeights } from './weights/open-translation-weights.js';
export { openWeights, type LanguageWeights, type WeightsKind } from './weights/open-weights.js';
export type { OpenWeightsOptions } from './weights/stored-weights.js';
