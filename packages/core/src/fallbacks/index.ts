// The table of fallbacks: every fused primitive written in required ones, for backends without a kernel of their own.
import type { AnyKernel, Backend, BackendKernels, FusedKernels, KernelAttributes, KernelInputs, KernelName, KernelOutputs, Kernels } from '../contract.js';
import { biasActivation, biasActivationGrad, dropout } from './activation.js';
import { attention, attentionGrad } from './attention.js';
import { crossEntropyGrad, crossEntropyStats } from './cross-entropy.js';
import { dispatchClaims } from './dispatch.js';
import { expertsBackward, expertsForward } from './expert-pass.js';
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
  expertsForward,
  expertsBackward,
  combineExperts,
  combineExpertsGrad,
};

/** Every fused primitive for `backend`, written in its required ones; the few that are made of other fused ones, in those that it has. */
export function createFallbacks(backend: Backend): FusedKernels {
  let all: FusedKernels | undefined;
  const fused = (): FusedKernels => (all ??= { ...fallbacks, ...onlyPresent(backend.kernels) });
  const bind = (fallback: (scratch: Scratch, ...call: Parameters<AnyKernel>) => void): AnyKernel => (inputs, outputs, attributes) => {
    const scratch = new Scratch(backend, fused());
    try {
      fallback(scratch, inputs, outputs, attributes);
    } finally {
      scratch.free();
    }
  };
  const fallbacks = Object.fromEntries(
    Object.entries(FALLBACKS).map(([name, fallback]) => [name, bind(fallback as Parameters<typeof bind>[0])]),
  ) as unknown as FusedKernels;
  return fallbacks;
}

/** A kernel that a backend lists as undefined is as good as absent. */
export function onlyPresent(kernels: BackendKernels): Partial<Kernels> {
  return Object.fromEntries(Object.entries(kernels).filter(([, kernel]) => kernel !== undefined));
}
