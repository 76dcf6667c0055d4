// The public surface of @xmoe/backends. Not a backend: those are in packages of their own.
export { BACKEND_NAMES, defaultBackend, openBackend, type BackendName, type ChosenBackend } from './open-backend.js';
