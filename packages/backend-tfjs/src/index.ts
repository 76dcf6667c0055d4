// The public face of @xmoe/backend-tfjs for Node and browsers. Finding and loading builds in Node is in ./node.js.
export { createTfjsBackend, type TfjsBackend, type TfjsBackendOptions } from './backend.js';
export { asTfOp, fromTf, toTf } from './interop.js';
export { tfjsSupport, type Support, type TfjsBuild } from './support.js';
export type { Tfjs, TfTensor } from './tfjs-module.js';
