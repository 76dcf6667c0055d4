// The public surface of @xmoe/text.
export * from './data/index.js';
export * from './parallel/index.js';
export * from './tokenizers/index.js';
