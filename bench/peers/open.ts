// The peers that are there, and a line for each that is not.
import { attemptInto } from './attempt.js';
import { openJax } from './jax.js';
import type { GemmPeer } from './peer.js';
import type { GenerationPeer } from './generation-spec.js';
import { openNumpy, type NumpyPeer } from './numpy.js';
import { openOnnxRuntime } from './onnxruntime.js';
import { openTfjs } from './tfjs.js';
import { openTorch, type TorchPeer } from './torch.js';

export interface Peers {
  readonly tfjs: GemmPeer | null;
  readonly jax: GemmPeer | null;
  readonly torch: TorchPeer | null;
  readonly numpy: NumpyPeer | null;
  readonly onnx: GenerationPeer | null;
  /** `name (why not; how to install it)` */
  readonly absent: readonly string[];
}

export async function openPeers(): Promise<Peers> {
  const absent: string[] = [];
  const attempt = attemptInto(absent, { hints: true });
  return { tfjs: await attempt(openTfjs), jax: await attempt(openJax), torch: await attempt(openTorch), numpy: await attempt(openNumpy), onnx: await attempt(openOnnxRuntime), absent };
}
