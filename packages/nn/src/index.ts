// The public surface of @xmoe/nn.
export * from './layers/attention.js';
export * from './layers/dropout.js';
export * from './layers/feed-forward.js';
export * from './layers/linear.js';
export * from './layers/transformer-layer.js';
export * from './models/encoder-decoder.js';
export * from './models/language-model.js';
export * from './models/loss.js';
export * from './models/positions.js';
export * from './models/stack.js';
export * from './optimizers/adamw.js';
export * from './optimizers/loss-scale.js';
export * from './optimizers/schedules.js';
