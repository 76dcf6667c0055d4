// The dense position-wise feed-forward layer. Mixture-of-experts ones live in @xmoe/moe and fit the same interface.
import type { Activation, FeedForward } from '@xmoe/core';
import { linear, linearParameters } from './linear.js';

export interface DenseFeedForwardConfig {
  /** Prefix of the parameters, e.g. `h.0.mlp`. */
  readonly name: string;
  readonly width: number;
  readonly hidden: number;
  readonly activation: Activation;
  readonly std: number;
  readonly outputStd: number;
}

/** W2·act(W1·x + b1) + b2 with `name.c_fc` [d, hidden] and `name.c_proj` [hidden, d]. */
export function createDenseFeedForward(config: DenseFeedForwardConfig): FeedForward<never> {
  const { name, width, hidden } = config;
  return {
    parameters: [
      ...linearParameters(`${name}.c_fc`, { inputs: width, outputs: hidden, std: config.std }),
      ...linearParameters(`${name}.c_proj`, { inputs: hidden, outputs: width, std: config.outputStd }),
    ],
    apply: (parameters, x) => ({
      output: linear(parameters, `${name}.c_proj`, linear(parameters, `${name}.c_fc`, x, config.activation)),
      auxLoss: null,
      trace: null,
    }),
  };
}
