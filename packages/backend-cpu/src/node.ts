// The subpath @xmoe/backend-cpu/node: the engine with products by a library of the machine. Browsers never import it.
export { createNativeBackend, type NativeBackendOptions } from './native/native-backend.js';
export { libraryUnwanted } from './native/find-library.js';
