// The table of fallbacks: every fused primitive written in required ones, for backends without a kernel of their own.
import type { AnyKernel, Backend, FusedKernels, KernelAttributes, KernelInputs, KernelName, KernelOutputs } from '../contract.js';
import { biasActivation, biasActivationGrad, dropout } from './activation.js';
import { attention, attentionGrad } from './attention.js';
import { crossEntropyGrad, crossEntropyStats } from './cross-entropy.js';
import { dispatchClaims } from './dispatch.js';
import { expertsGrad, groupedLinear, groupedLinearWeightGrad } from './experts.js';
import { addRows } from './indexing.js';
import { layerNorm, layerNormGrad } from './normalization.js';
import { adamStep, sumSquares } from './optimizer.js';
import { combineExperts, combineExpertsGrad, thresholdSelect } from './routing.js';
import { Scratch } from './scratch.js';
import { softmax, softmaxGrad } from './softmax.js';

/** A fallback gets temporaries from `scratch`, which the table frees when it returns. */
type Fallback<Name extends KernelName> = (
  scratch: Scratch, inputs: KernelInputs<Name>, outputs: KernelOutputs<Name>, attributes: KernelAttributes<Name>,
) => void;

const FALLBACKS: { [Name in keyof FusedKernels]: Fallback<Name> } = {
  softmax,
  softmaxGrad,
  crossEntropyStats,
  crossEntropyGrad,
  layerNorm,
  layerNormGrad,
  biasActivation,
  biasActivationGrad,
  attention,
  attentionGrad,
  dropout,
  adamStep,
  addRows,
  sumSquares,
  thresholdSelect,
  dispatchClaims,
  groupedLinear,
  groupedLinearWeightGrad,
  expertsGrad,
  combineExperts,
  combineExpertsGrad,
};

/** Every fused primitive for `backend`, written in its required ones. */
export function createFallbacks(backend: Backend): FusedKernels {
  const bind = (fallback: (scratch: Scratch, ...call: Parameters<AnyKernel>) => void): AnyKernel => (inputs, outputs, attributes) => {
    const scratch = new Scratch(backend);
    try {
      fallback(scratch, inputs, outputs, attributes);
    } finally {
      scratch.free();
    }
  };
  return Object.fromEntries(
    Object.entries(FALLBACKS).map(([name, fallback]) => [name, bind(fallback as Parameters<typeof bind>[0])]),
  ) as unknown as FusedKernels;
}
