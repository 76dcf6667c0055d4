// Who takes part in `pnpm bench --peers --backend webgpu`: our WebGPU backend, TensorFlow.js on the same adapter, and PyTorch on the
// same GPU. What is not there is named with the reason, and left out.
import type { WebGpuBackend } from '@xmoe/backend-webgpu';
import type { FloatDType } from '@xmoe/core';
import { openDevices } from '../devices.js';
import type { Device } from '../forward-backward.js';
import { attemptInto, type Attempt } from '../peers/attempt.js';
import { openTorch, type TorchPeer } from '../peers/torch.js';
import { openTfjsWebGpu } from './tfjs.js';

export interface WebGpuPeers {
  readonly ours: Device;
  /** The adapter is a CPU: small shapes and ratios of our own. */
  readonly software: boolean;
  /** The precisions of the adapter. */
  readonly dtypes: readonly FloatDType[];
  readonly tfjs: Device | null;
  readonly torch: TorchPeer | null;
  /** `name: what`, and why not. */
  readonly described: readonly string[];
  readonly absent: readonly string[];
  close(): Promise<void>;
}

/** @throws XMoEError `backend` where there is no adapter */
export async function openWebGpuPeers(quick: boolean): Promise<WebGpuPeers> {
  const { devices: [ours] } = await openDevices(['webgpu']);
  const { software, float16 } = (ours.engine.backend as WebGpuBackend).traits;
  const absent: string[] = [];
  const attempt = attemptInto(absent, { hints: false });
  const tfjs = await attempt(openTfjsWebGpu);
  const torch = await openTorchBeside(software, quick, attempt, absent);
  if (software && !quick) absent.push('the shapes of the 124M and 323M models (a software adapter would take hours)');
  return {
    ours, software, tfjs, torch, absent,
    dtypes: float16 ? ['float32', 'float16'] : ['float32'],
    described: [tfjs && `${tfjs.name}: ${tfjs.engine.backend.description}`, torch?.description].filter((line) => typeof line === 'string'),
    async close() {
      tfjs?.engine.dispose();
      await torch?.close();
    },
  };
}

/** On the GPU. To show that it runs, a CPU will do; beside a software adapter its times would say nothing. */
async function openTorchBeside(software: boolean, quick: boolean, attempt: Attempt, absent: string[]): Promise<TorchPeer | null> {
  if (software && !quick) {
    absent.push('PyTorch (a GPU library beside a software adapter would say nothing)');
    return null;
  }
  const torch = software ? null : await attempt(() => openTorch('cuda'));
  return torch ?? (quick ? attempt(() => openTorch('cpu')) : null);
}
