// The entry @xmoe/models/node: runs opened from their directories, and weights of runs and of Hugging Face folders.
export { readHuggingFaceFolder, type HuggingFaceFolder } from './hugging-face/read-folder.js';
export { writeHuggingFaceFolder, type PublishedContents } from './hugging-face/write-folder.js';
export { openRun, type OpenRunOptions } from './run/read-run.js';
export { openWeights, type LanguageWeights, type OpenWeightsOptions, type WeightsKind } from './weights/open-weights.js';
