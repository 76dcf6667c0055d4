// The BASE router (Lewis et al. 2021): balanced assignment in training, argmax in evaluation. The auction runs on the host:
// it is the only router that waits for the device. The solver is reference/auction.ts.
import { XMoEError, argMax, sigmoid, takeAlongLast, type Tensor } from '@xmoe/core';
import { zLossOf } from './losses.js';
import { positive, readOptions, type OptionsOf } from './options.js';
import { auctionAssign } from './reference/auction.js';
import { asColumn, defineRouter, fixedChoices, type Router, type RouterInput, type Routing } from './router.js';

export const BASE_OPTIONS = {
  /** The auction's step in logit units; its total is within T·epsilon of the optimum. Default: 1e-5 of their range. */
  epsilon: positive().optional(),
};

export type BaseRouterOptions = OptionsOf<typeof BASE_OPTIONS>;

/**
 * Routes to one expert with weight sigmoid(logit), no balance loss. In training every expert gets ⌊T/N⌋ or ⌈T/N⌉ of the
 * real tokens, which needs a backend that reads synchronously (cpu, tfjs).
 * @throws XMoEError `backend` when training on a backend that cannot.
 */
export function createBaseRouter(options: BaseRouterOptions = {}): Router {
  const { epsilon } = readOptions('base router', BASE_OPTIONS, options);
  return defineRouter({
    name: 'base',
    usesGate: true,
    maxChoices: () => 1,
    choose(input) {
      const logits = input.logits!;
      const chosen = input.training ? assign(input, logits, epsilon) : fixedChoices(input, asColumn(argMax(logits)));
      return {
        ...chosen,
        weights: sigmoid(takeAlongLast(logits, chosen.expertIds)),
        probabilities: null,
        balanceLoss: null,
        zLoss: (input.losses?.z ?? true) ? zLossOf(logits, input.mask ?? null) : null,
        priority: 'rank-probability',
      };
    },
  });
}

function assign(input: RouterInput, logits: Tensor, epsilon: number | undefined): Pick<Routing, 'expertIds' | 'counts' | 'full'> {
  const { engine, tokens, experts, mask } = input;
  if (!engine.backend.readSync) {
    throw new XMoEError('backend', `balanced assignment runs on the host, and ${engine.backend.name} cannot read synchronously`, {
      op: 'base router',
      hint: 'train BASE on cpu or tfjs, or use another router here; evaluation works everywhere',
    });
  }
  const assigned = auctionAssign(logits.dataSync(), tokens, experts, { mask: mask?.dataSync(), epsilon }); // −1 for padding
  return fixedChoices(input, engine.tensor(assigned, [tokens, 1], 'int32'));
}
