// The public surface of @xmoe/files: strict JSON, for Node and browsers alike. What touches a file system is @xmoe/files/node.
export { assertJson, isForbiddenKey, isPlainObject, jsonObject, PROTOTYPE_KEY, type JsonObject, type JsonValue } from './json/json-value.js';
export { jsonProblem, MAXIMUM_JSON_DEPTH, parseJson, type ParseJsonOptions } from './json/strict-json.js';
