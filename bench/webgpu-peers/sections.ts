// The sections of `pnpm bench --peers --backend webgpu`, in order. What is measured is in the file of each.
import { queuedPass, type Device } from '../forward-backward.js';
import type { MeasureOptions } from '../measure.js';
import type { WebGpuPeerSection } from '../options.js';
import { compareLayers, type LayerComparison } from '../peers/layer.js';
import { withoutVerdicts } from '../peers/target.js';
import type { TorchPeer } from '../peers/torch.js';
import type { Table } from '../table.js';
import { benchWebGpuGemm } from './gemm.js';
import { benchWebGpuModels } from './models.js';
import type { WebGpuPeers } from './open.js';
import { AGREEMENT, LAYERS, scaleOf, type WebGpuScale } from './shapes.js';
import { benchWebGpuStep } from './step.js';
import { WEBGPU_TARGETS } from './target.js';

/** A sample lasts so long that waiting for the device once does not show in it, in ms. */
const SAMPLE_MS = 100;

export async function benchWebGpuPeers(section: WebGpuPeerSection, peers: WebGpuPeers, quick: boolean, options: MeasureOptions): Promise<Table[]> {
  const scale = scaleOf(peers, quick);
  const rounds: MeasureOptions = { ...options, sampleMs: quick ? 0 : SAMPLE_MS };
  const tables = await measure(section, peers, scale, rounds);
  return quick ? tables.map(withoutVerdicts) : tables;
}

async function measure(section: WebGpuPeerSection, peers: WebGpuPeers, scale: WebGpuScale, options: MeasureOptions): Promise<Table[]> {
  if (section === 'gemm') return benchWebGpuGemm(peers, scale, options);
  if (section === 'moe') return benchLayers(peers, scale, options);
  const tiny = await benchWebGpuStep(peers.ours, peers.tfjs, scale === 'quick', options);
  return scale === 'software' ? tiny : [...tiny, ...(await benchWebGpuModels(peers, scale === 'quick', options))];
}

async function benchLayers({ ours, torch, dtypes }: WebGpuPeers, scale: WebGpuScale, options: MeasureOptions): Promise<Table[]> {
  const tables: Table[] = [];
  for (const shape of LAYERS[scale]) {
    for (const dtype of dtypes) tables.push(...(await compareWebGpuLayers(ours, torch, { shape, dtype }, options)));
  }
  return tables;
}

/** Our MoE layers on WebGPU beside our dense one and PyTorch's. */
export function compareWebGpuLayers(ours: Device, torch: TorchPeer | null, { shape, dtype }: Pick<LayerComparison, 'shape' | 'dtype'>, options: MeasureOptions): Promise<Table[]> {
  return compareLayers({
    ours, shape, dtype, agreement: AGREEMENT,
    // PyTorch's half products on a CPU are missing or emulated.
    torch: dtype === 'float32' || torch?.device === 'cuda' ? torch : null,
    paths: ['padded', 'grouped', 'budget'], theirs: ['sorted', 'grouped', 'einsum'], targets: WEBGPU_TARGETS,
    pass: (engine, work) => queuedPass('layer', engine, work), label: `${dtype}, T = ${shape.tokens}`,
  }, options);
}
