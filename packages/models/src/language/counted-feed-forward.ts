// A dense feed-forward layer that counts its positive hidden units, as layers with experts do (Figure 1 of the paper): the same parameters and
// the same numbers, computed as one expert that every token takes. For looking at a trained model, not for training.
import { parameter, reshape, type FeedForward } from '@xmoe/core';
import { createMoeFeedForward, type RoutingTrace } from '@xmoe/moe';
import { createDenseFeedForward, type DenseFeedForwardConfig } from '@xmoe/nn';

export function createCountedFeedForward(config: DenseFeedForwardConfig & { readonly activation: 'gelu-tanh' | 'gelu-erf' | 'relu' }): FeedForward<RoutingTrace> {
  const { name, width, hidden, activation, std, outputStd } = config;
  const one = createMoeFeedForward({
    name, width, hidden, activation, initStd: std, outputStd, experts: 1, router: { type: 'uniform', k: 1, gate: false }, dispatch: 'grouped', trackPositive: true,
  });
  return {
    parameters: createDenseFeedForward(config).parameters,
    apply(parameters, x, context) {
      const [w1, b1, w2, b2] = ['c_fc.weight', 'c_fc.bias', 'c_proj.weight', 'c_proj.bias'].map((part) => parameter(parameters, `${name}.${part}`));
      const expert = { w1: reshape(w1!, [1, width, hidden]), b1: reshape(b1!, [1, hidden]), w2: reshape(w2!, [1, hidden, width]), b2: reshape(b2!, [1, width]) };
      return one.apply(Object.fromEntries(Object.entries(expert).map(([part, tensor]) => [`${name}.experts.${part}`, tensor])), x, context);
    },
  };
}
