// Presets by name, as data and as configurations, in Node and in a page alike. The entry @xmoe/models/presets.
export { languagePresets } from './language.js';
export { loadLanguagePreset, loadTranslationPreset, type PresetOptions } from './load-preset.js';
export { translationPresets } from './translation.js';
