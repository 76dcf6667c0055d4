// Every op by name.
export * from './activation.js';
export * from './attention.js';
export * from './cross-entropy.js';
export * from './dispatch.js';
export * from './elementwise.js';
export * from './experts.js';
export * from './indexing.js';
export * from './matmul.js';
export * from './movement.js';
export * from './normalization.js';
export * from './optimizer.js';
export * from './random.js';
export * from './reduce.js';
export * from './routing.js';
export * from './sorting.js';
export * from './split.js';
