// Public exports of the configuration folder.
export { assertJson, isPlainObject, type JsonObject, type JsonValue } from './json-value.js';
export { parseJson, type ParseJsonOptions } from './strict-json.js';
export { parseConfig } from './parse-config.js';
export { mergeOverrides, parseAssignment, type Overrides } from './overrides.js';
export { listPresets, loadPreset, mergeJson, type PresetSource } from './presets.js';
