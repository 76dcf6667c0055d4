// numpy as a peer, for GEMM: what gemm_numpy.py computes, as contestants that time themselves.
import { fileURLToPath } from 'node:url';
import { isXMoEError } from '@xmoe/core';
import { absentPeer, peerThreads, pythonCandidates } from './locate.js';
import type { GemmPeer } from './peer.js';
import { startPython, type PythonProcess } from './python.js';

const SCRIPT = fileURLToPath(new URL('gemm_numpy.py', import.meta.url));

export interface NumpyPeer extends GemmPeer {
  close(): Promise<void>;
}

/** @throws XMoEError `backend` when no Python here has numpy */
export async function openNumpy(): Promise<NumpyPeer> {
  let reason = 'no Python found';
  for (const executable of pythonCandidates()) {
    try {
      return peerOf(await startPython(executable, ['-B', SCRIPT, String(peerThreads())]));
    } catch (error) {
      if (!isXMoEError(error)) throw error;
      reason = error.message.replace(/^bench: /, '');
    }
  }
  throw absentPeer('numpy', 'numpy', reason);
}

function peerOf(python: PythonProcess): NumpyPeer {
  const name = 'numpy';
  return {
    name,
    description: `numpy ${String(python.hello.version)} on ${String(python.hello.library)}, ${peerThreads()} threads`,
    async prepareGemm({ M, K, N, transposeB }) {
      const { value } = await python.ask({ request: 'prepare', id: 'gemm', spec: { M, K, N, transposeB } });
      const time = async (loops: number): Promise<number> => (await python.ask({ request: 'time', id: 'gemm', loops })).ms as number;
      return { value: value as number, contestant: { name, run: async () => void (await time(1)), time }, dispose: async () => void (await python.ask({ request: 'drop' })) };
    },
    close: () => python.close(),
  };
}
