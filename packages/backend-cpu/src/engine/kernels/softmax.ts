// softmax, cross-entropy and their gradients on the compiled kernels.
import type { Kernels } from '@xmoe/core';
import type { WasmRuntime } from '../runtime.js';
import { grainOf } from './grain.js';

type SoftmaxKernels = Pick<Kernels, 'softmax' | 'softmaxGrad' | 'crossEntropyStats' | 'crossEntropyGrad'>;

export function createSoftmax(runtime: WasmRuntime): SoftmaxKernels {
  const { pointer } = runtime;
  return {
    softmax({ x }, { out }) {
      const [R, C] = x.shape;
      runtime.parallel('softmax', R, grainOf(6 * C), [pointer(x), pointer(out), C]);
    },
    softmaxGrad({ y, dy }, { dx }) {
      const [R, C] = y.shape;
      runtime.parallel('softmaxGrad', R, grainOf(2 * C), [pointer(y), pointer(dy), pointer(dx), C]);
    },
    crossEntropyStats({ logits, targets }, { peak, sum, picked, total }, { offset, vocabulary }) {
      const [R, C] = logits.shape;
      runtime.parallel('crossEntropyStats', R, grainOf(6 * C), [
        pointer(logits), pointer(targets), pointer(peak), pointer(sum), pointer(picked), total === null ? 0 : pointer(total), C, offset, vocabulary,
      ]);
    },
    crossEntropyGrad({ logits, targets, peak, sum, scale }, { dlogits }, { offset, labelSmoothing, vocabulary }) {
      const [R, C] = logits.shape;
      runtime.parallel('crossEntropyGrad', R, grainOf(4 * C), [
        pointer(logits), pointer(targets), pointer(peak), pointer(sum), pointer(scale), pointer(dlogits), C, offset,
        labelSmoothing / vocabulary, 1 - labelSmoothing, vocabulary,
      ]);
    },
  };
}
