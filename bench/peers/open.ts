// The peers that are there, and a line for each that is not.
import { isXMoEError } from '@xmoe/core';
import { openJax } from './jax.js';
import type { GemmPeer } from './peer.js';
import { openTfjs } from './tfjs.js';
import { openTorch, type TorchPeer } from './torch.js';

export interface Peers {
  readonly tfjs: GemmPeer | null;
  readonly jax: GemmPeer | null;
  readonly torch: TorchPeer | null;
  /** `name (why not; how to install it)` */
  readonly absent: readonly string[];
}

export async function openPeers(): Promise<Peers> {
  const absent: string[] = [];
  const attempt = async <Peer>(open: () => Promise<Peer>): Promise<Peer | null> => {
    try {
      return await open();
    } catch (error) {
      if (!isXMoEError(error)) throw error;
      const message = error.message.replace(/^\w+: /, '');
      absent.push(error.hint ? `${message} (${error.hint})` : message);
      return null;
    }
  };
  return { tfjs: await attempt(openTfjs), jax: await attempt(openJax), torch: await attempt(openTorch), absent };
}
