// The sections of `pnpm bench --peers`, in order. What is measured is in the file of each.
import { eagerPass, type Device } from '../forward-backward.js';
import type { MeasureOptions } from '../measure.js';
import type { PeerSection } from '../options.js';
import { MOE_SHAPES } from '../shapes.js';
import type { Table } from '../table.js';
import { benchPeerGemm } from './gemm.js';
import { benchPeerGeneration } from './generation.js';
import { compareLayers } from './layer.js';
import { benchPeerModels } from './models.js';
import type { Peers } from './open.js';
import { benchPeerStep } from './step.js';
import { TARGETS, withoutVerdicts } from './target.js';

/** `devices`: our CPU engine, then the TensorFlow.js wasm adapter where it loads. */
export async function benchPeers(
  section: PeerSection, [ours, adapter]: readonly Device[], peers: Peers, quick: boolean, options: MeasureOptions,
): Promise<Table[]> {
  const tables = await measure(section, ours, adapter ?? null, peers, quick, options);
  return quick ? tables.map(withoutVerdicts) : tables;
}

async function measure(section: PeerSection, ours: Device, adapter: Device | null, peers: Peers, quick: boolean, options: MeasureOptions): Promise<Table[]> {
  if (section === 'gemm') return benchPeerGemm(ours, [peers.tfjs, peers.jax, peers.numpy, peers.torch].filter((peer) => peer !== null), quick, options);
  if (section === 'generation') return benchPeerGeneration(ours, [peers.onnx, peers.torch].filter((peer) => peer !== null), quick, options);
  if (section === 'step') {
    const models = peers.torch ? [await benchPeerModels(ours, peers.torch, quick, options)] : [];
    return [...(await benchPeerStep(ours, adapter, quick, options)), ...models];
  }
  const shape = MOE_SHAPES[quick ? 'quick' : 'full'];
  // The padded path is measured without --peers.
  return compareLayers({
    ours, torch: peers.torch, shape, agreement: shape, dtype: 'float32', paths: ['grouped', 'budget'], theirs: ['sorted', 'einsum'],
    targets: TARGETS, pass: (engine, work) => eagerPass('layer', engine, work), label: '',
  }, options);
}
