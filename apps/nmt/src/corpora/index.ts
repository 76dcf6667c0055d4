// The parallel text that comes with the app, from npm packages.
export * from './language-packs.js';
