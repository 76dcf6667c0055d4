// Where each primitive runs on each TensorFlow.js build: the data behind the README's support table. No code runs by it
// except the choice of kernels for builds whose memory is on a device.
import type { KernelName } from '@xmoe/core';

/**
 * - `native`: kernels of the TensorFlow.js build;
 * - `host`: this package's loops, in place on the build's memory (cpu, wasm) or through a copy (node, cuda);
 * - `composed`: core's fallback, written in other primitives.
 * On wasm, `native` kernels give way to `host` loops for short operands, other dtypes and operations the build lacks.
 */
export type Support = 'native' | 'host' | 'composed';

export type TfjsBuild = 'cpu' | 'wasm' | 'node' | 'cuda';

type Row = readonly [cpu: Support, wasm: Support, device: Support];

const table: Record<KernelName, Row> = {
  fill: ['host', 'host', 'native'],
  iota: ['host', 'host', 'host'],
  random: ['host', 'host', 'host'],
  unary: ['host', 'native', 'native'],
  binary: ['host', 'native', 'native'],
  compare: ['host', 'host', 'native'],
  select: ['host', 'host', 'native'],
  cast: ['host', 'host', 'native'],
  reduce: ['host', 'host', 'native'],
  argReduce: ['host', 'host', 'native'],
  cumsum: ['host', 'host', 'native'],
  matmul: ['host', 'native', 'native'],
  transpose: ['host', 'native', 'native'],
  slice: ['host', 'host', 'native'],
  broadcast: ['host', 'host', 'native'],
  concat: ['host', 'host', 'native'],
  gatherRows: ['host', 'host', 'native'],
  scatterAddRows: ['host', 'host', 'native'],
  takeAlongLast: ['host', 'host', 'native'],
  addAlongLast: ['host', 'host', 'native'],
  topK: ['host', 'host', 'native'],
  sortByKey: ['host', 'host', 'native'],
  bincount: ['host', 'host', 'native'],
  groupedMatmul: ['host', 'native', 'native'],
  groupedMatmulWeightGrad: ['host', 'native', 'native'],
  softmax: ['host', 'native', 'native'],
  softmaxGrad: ['host', 'host', 'composed'],
  crossEntropyStats: ['host', 'native', 'composed'],
  crossEntropyGrad: ['host', 'native', 'composed'],
  layerNorm: ['host', 'host', 'composed'],
  layerNormGrad: ['host', 'host', 'composed'],
  biasActivation: ['host', 'native', 'composed'],
  biasActivationGrad: ['host', 'native', 'composed'],
  attention: ['composed', 'native', 'composed'],
  attentionGrad: ['composed', 'native', 'composed'],
  dropout: ['host', 'host', 'composed'],
  adamStep: ['host', 'native', 'composed'],
  sumSquares: ['host', 'host', 'composed'],
  thresholdSelect: ['host', 'host', 'composed'],
  dispatchClaims: ['composed', 'composed', 'composed'],
  groupedLinear: ['host', 'native', 'composed'],
  groupedLinearWeightGrad: ['host', 'native', 'composed'],
  expertsGrad: ['host', 'native', 'composed'],
  combineExperts: ['host', 'host', 'composed'],
  combineExpertsGrad: ['host', 'host', 'composed'],
};

/** Primitive → how each build runs it. */
export const tfjsSupport: Readonly<Record<KernelName, Readonly<Record<TfjsBuild, Support>>>> = Object.fromEntries(
  Object.entries(table).map(([name, [cpu, wasm, device]]) => [name, { cpu, wasm, node: device, cuda: device }]),
) as Record<KernelName, Record<TfjsBuild, Support>>;
