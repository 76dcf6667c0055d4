// The subpath @xmoe/backend-tfjs/node: finding and loading TensorFlow.js builds in Node. Browsers never import it.
export { createTfjsBackendFor, loadTfjs, type LoadedTfjs, type LoadTfjsOptions } from './node/load.js';
export { shimNodeUtil } from './node/shim.js';
