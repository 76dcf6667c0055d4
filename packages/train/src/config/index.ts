// Public exports of the configuration folder.
export { MAXIMUM_CONFIG_BYTES, readConfigText } from './config-text.js';
export { parseConfig } from './parse-config.js';
export { mergeOverrides, parseAssignment, type Overrides } from './overrides.js';
export { listPresets, loadPreset, mergeJson, type PresetSource } from './presets.js';
