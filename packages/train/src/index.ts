// The public surface of @xmoe/train.
export * from './checkpoint/index.js';
export * from './config/index.js';
export * from './lifecycle/index.js';
export * from './metrics/index.js';
export * from './trainer/index.js';
