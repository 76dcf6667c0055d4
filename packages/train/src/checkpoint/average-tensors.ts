// The mean of the parameters of several checkpoints (Vaswani et al. 2017, section 6.1). In memory: average.ts saves it.
import { XMoEError } from '@xmoe/core';
import { assertTensors } from './assert-tensors.js';
import type { StoredTensor } from './tensor-format.js';

/**
 * The mean of equally named tensors, summed in float64. float32 only.
 * @throws XMoEError `checkpoint` unless all have the same tensors
 */
export function averageTensors(all: readonly (readonly StoredTensor[])[]): StoredTensor[] {
  const [first, ...others] = all;
  if (!first) throw new XMoEError('checkpoint', 'there is nothing to average', { op: 'averageTensors', hint: 'pass the tensors of one checkpoint or more' });
  for (const tensors of others) assertTensors(first, tensors, { where: 'a checkpoint to average' });
  const byName = others.map((tensors) => new Map(tensors.map((tensor) => [tensor.name, tensor])));
  return first.map((tensor) => {
    const sum = Float64Array.from(tensor.data);
    for (const tensors of byName) tensors.get(tensor.name)!.data.forEach((value, index) => (sum[index]! += value));
    return { ...tensor, data: Float32Array.from(sum, (value) => value / all.length) };
  });
}
