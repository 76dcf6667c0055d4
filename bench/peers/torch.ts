// PyTorch on the CPU as a peer: what moe_torch.py computes, as contestants that time themselves.
import { fileURLToPath } from 'node:url';
import { isXMoEError, type Shape } from '@xmoe/core';
import type { Contestant } from '../measure.js';
import { absentPeer, peerThreads, pythonCandidates } from './locate.js';
import type { GemmPeer } from './peer.js';
import { startPython, type PythonProcess } from './python.js';

export interface TorchLayer {
  readonly layer: 'dense' | 'sorted' | 'einsum';
  readonly tokens: number;
  readonly width: number;
  /** N; none for the dense layer. */
  readonly experts?: number;
  /** Experts per token, K. */
  readonly k?: number;
  /** Of the weights, in the order of our parameters. */
  readonly shapes: readonly Shape[];
}

export interface PreparedLayer {
  readonly contestant: Contestant;
  /** The loss, and a number from each gradient. */
  readonly values: readonly number[];
}

export interface TorchPeer extends GemmPeer {
  prepareLayer(layer: TorchLayer): Promise<PreparedLayer>;
  /** Frees everything that was prepared. */
  drop(): Promise<void>;
  close(): Promise<void>;
}

const SCRIPT = fileURLToPath(new URL('moe_torch.py', import.meta.url));

/** @throws XMoEError `backend` when no Python here has PyTorch */
export async function openTorch(): Promise<TorchPeer> {
  let reason = 'no Python found';
  for (const executable of pythonCandidates()) {
    try {
      return peerOf(await startPython(executable, [SCRIPT, String(peerThreads())]));
    } catch (error) {
      if (!isXMoEError(error)) throw error;
      reason = error.message.replace(/^bench: /, '');
    }
  }
  throw absentPeer('PyTorch', 'torch', reason);
}

function peerOf(python: PythonProcess): TorchPeer {
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
    description: `PyTorch ${String(python.hello.version)}, CPU, ${String(python.hello.threads)} threads`,
    async prepareGemm({ M, K, N, transposeB }) {
      const { contestant, value } = await prepare('gemm', { M, K, N, transposeB });
      return { contestant, value: value as number, dispose: drop };
    },
    async prepareLayer(layer) {
      const { contestant, value } = await prepare('layer', layer);
      return { contestant, values: value as number[] };
    },
    drop,
    close: () => python.close(),
  };
}
