// The baselines a translation model is compared with.
export * from './baseline.js';
export { trainDictionary, type DictionaryBaseline, type DictionaryOptions } from './dictionary-baseline.js';
export * from './score-baselines.js';
