// The public surface of @xmoe/backends. Not a backend: those are in packages of their own.
export * from './open-backend.js';
