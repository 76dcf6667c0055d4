export * from './open-backend.js';
