// Dropout by the numbers of core, which no operation of TensorFlow draws: the host makes the mask, one product applies it.
import { sizeOf, type FusedKernels, type Operand } from '@xmoe/core';
import { fillUniform } from '@xmoe/core/backend';
import { boxOf } from '../box.js';
import type { Pieces } from './elementwise.js';
import type { Id, Ops } from './ops.js';

/** 1 / (1 − rate) where uniform(key, stream)[flat index] ≥ rate, else 0, in `shape`. Keys live on the host. */
export function keptMask(ops: Ops, key: Operand, shape: readonly number[], rate: number, stream: number): Id {
  const make = (from: Operand): Float32Array => {
    const words = boxOf(from).words!;
    const mask = new Float32Array(sizeOf(shape));
    fillUniform([words[0]!, words[1]!], stream, mask);
    const [limit, kept] = [Math.fround(rate), 1 / (1 - rate)];
    for (let i = 0; i < mask.length; i++) mask[i] = mask[i]! >= limit ? kept : 0;
    return mask;
  };
  return ops.uploadEach(key, { shape, make });
}

export function dropoutKernel(ops: Ops, { multiplyNoNan }: Pieces): FusedKernels['dropout'] {
  return ({ x, key }, { out }, { rate, stream }) => ops.put(out, multiplyNoNan(ops.id(x), keptMask(ops, key, x.shape, rate, stream)));
}
