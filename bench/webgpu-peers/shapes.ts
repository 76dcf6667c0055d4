// The sizes that are measured on WebGPU: those of the paper's models on a GPU, small ones on a software adapter, tiny ones that
// only show that it runs.
import { MOE_SHAPES, moeShape, productShape, type GemmShape, type MoeShape } from '../shapes.js';

export type WebGpuScale = 'gpu' | 'software' | 'quick';

export const scaleOf = ({ software }: { readonly software: boolean }, quick: boolean): WebGpuScale => (quick ? 'quick' : software ? 'software' : 'gpu');

/** The first is the probe: what a large product reaches, which the others are a share of. */
export const PRODUCTS: Readonly<Record<WebGpuScale, readonly GemmShape[]>> = {
  gpu: [
    productShape(4096, 4096, 4096, false, 'probe'), productShape(4096, 768, 3072), productShape(16384, 768, 3072), productShape(16384, 3072, 768),
    productShape(2048, 768, 384), productShape(1024, 768, 8192, true, 'vocabulary chunk'),
  ],
  software: [productShape(256, 256, 256, false, 'probe'), productShape(256, 128, 512), productShape(64, 128, 64)],
  quick: [productShape(32, 32, 32, false, 'probe'), productShape(16, 24, 12, true)],
};

export const LAYERS: Readonly<Record<WebGpuScale, readonly MoeShape[]>> = {
  gpu: [moeShape(4096, 768, 3072), moeShape(16384, 768, 3072)],
  software: [MOE_SHAPES.reduced],
  quick: [MOE_SHAPES.quick],
};

/** The sizes at which our layers and PyTorch's must agree before larger ones are timed. */
export const AGREEMENT: MoeShape = moeShape(128, 32, 64);
