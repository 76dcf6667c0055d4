// Where optional peers lie and what to say when one is not there. It installs nothing: that is install-peers.mjs.
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { XMoEError } from '@xmoe/core';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** The folder of `XMOE_PEERS`, by default .xmoe/peers of the repository. */
export const peersFolder = (): string => resolve(root, process.env.XMOE_PEERS || join('.xmoe', 'peers'));

/** Pythons that may have PyTorch: the one of `XMOE_PYTHON`, else that of the peers' folder and the system's. */
export function pythonCandidates(): string[] {
  if (process.env.XMOE_PYTHON) return [process.env.XMOE_PYTHON];
  const [folder, file] = process.platform === 'win32' ? ['Scripts', 'python.exe'] : ['bin', 'python'];
  return [join(peersFolder(), 'python', folder, file), 'python3', '/usr/bin/python3'];
}

/** As many threads as our engine takes by default. */
export const peerThreads = (): number => Number(process.env.XMOE_THREADS) || Math.min(8, availableParallelism());

/** `name` as install-peers.mjs takes it. */
export function absentPeer(title: string, name: string, reason: string, cause?: unknown): XMoEError {
  return new XMoEError('backend', `${title} (${reason}; node bench/install-peers.mjs ${name})`, { op: 'bench', cause });
}
