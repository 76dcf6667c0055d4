// PyTorch as a peer, on the CPU or on an NVIDIA GPU: what moe_torch.py computes, as contestants that time themselves.
import { fileURLToPath } from 'node:url';
import { isXMoEError, type FloatDType, type Shape } from '@xmoe/core';
import type { Contestant } from '../measure.js';
import { absentPeer, peerThreads, pythonCandidates } from './locate.js';
import { promptToken, type GenerationPeer } from './generation-spec.js';
import type { GemmPeer } from './peer.js';
import { startPython, type PythonProcess } from './python.js';

export interface TorchLayer {
  /** `sorted`: a product per expert; `grouped`: one batched product, which an even load allows. */
  readonly layer: 'dense' | 'sorted' | 'grouped' | 'einsum';
  readonly tokens: number;
  readonly width: number;
  /** N; none for the dense layer. */
  readonly experts?: number;
  /** Experts per token, K. */
  readonly k?: number;
  /** Of the weights, in the order of our parameters. */
  readonly shapes: readonly Shape[];
  /** Default: float32. The gate is float32 all the same. */
  readonly dtype?: FloatDType;
}

/** A train step of GPT-2's shape; with experts in every `every`-th layer where `experts` is given. */
export interface TorchModel {
  readonly layers: number;
  readonly width: number;
  readonly heads: number;
  readonly hidden: number;
  readonly vocabulary: number;
  readonly length: number;
  readonly batch: number;
  /** float16: autocast with a loss scale. */
  readonly dtype: FloatDType;
  readonly experts?: number;
  readonly expertHidden?: number;
  readonly k?: number;
  readonly every?: number;
  /** AdamW in one pass: PyTorch's option `fused`. Default: on a GPU. */
  readonly fused?: boolean;
}

export interface PreparedLayer {
  readonly contestant: Contestant;
  /** The loss, and a number from each gradient. */
  readonly values: readonly number[];
}

export interface TorchPeer extends GemmPeer, GenerationPeer {
  readonly device: 'cpu' | 'cuda';
  prepareLayer(layer: TorchLayer): Promise<PreparedLayer>;
  prepareModel(model: TorchModel): Promise<Contestant>;
  /** Frees everything that was prepared. */
  drop(): Promise<void>;
  close(): Promise<void>;
}

const SCRIPT = fileURLToPath(new URL('moe_torch.py', import.meta.url));

/** @throws XMoEError `backend` when no Python here has PyTorch that runs on the device */
export async function openTorch(device: 'cpu' | 'cuda' = 'cpu'): Promise<TorchPeer> {
  let reason = 'no Python found';
  for (const executable of pythonCandidates()) {
    try {
      return peerOf(await startPython(executable, ['-B', SCRIPT, String(peerThreads()), device]), device);
    } catch (error) {
      if (!isXMoEError(error)) throw error;
      reason = error.message.replace(/^bench: /, '');
    }
  }
  throw absentPeer(device === 'cpu' ? 'PyTorch' : 'PyTorch with CUDA', 'torch', reason);
}

function peerOf(python: PythonProcess, device: 'cpu' | 'cuda'): TorchPeer {
  let next = 0;
  const drop = async (): Promise<void> => void (await python.ask({ request: 'drop' }));
  async function prepare(kind: string, spec: object): Promise<{ contestant: Contestant; value: unknown }> {
    const id = `${kind} ${next++}`;
    const { value } = await python.ask({ request: 'prepare', id, kind, spec });
    const time = async (loops: number): Promise<number> => (await python.ask({ request: 'time', id, loops })).ms as number;
    return { contestant: { name: 'PyTorch', run: async () => void (await time(1)), time }, value };
  }
  return {
    name: 'PyTorch',
    device,
    description: `PyTorch ${String(python.hello.version)}, ${String(python.hello.device)}, ${String(python.hello.threads)} threads`,
    async prepareGemm({ M, K, N, transposeB }, dtype = 'float32') {
      const { contestant, value } = await prepare('gemm', { M, K, N, transposeB, dtype });
      return { contestant, value: value as number, dispose: drop };
    },
    async prepareLayer(layer) {
      const { contestant, value } = await prepare('layer', layer);
      return { contestant, values: value as number[] };
    },
    async prepareGeneration(shape, parameters, { batch, prompt, tokens }) {
      const beginnings = Array.from({ length: batch }, (_, row) => Array.from({ length: prompt + 1 }, (_, place) => promptToken(row, place, shape.vocabulary)));
      const { contestant, value } = await prepare('generation', { ...shape, batch, tokens, parameters, beginnings });
      return { contestant, logits: value as number[], dispose: drop };
    },
    prepareModel: async (model) => (await prepare('model', model)).contestant,
    drop,
    close: () => python.close(),
  };
}
