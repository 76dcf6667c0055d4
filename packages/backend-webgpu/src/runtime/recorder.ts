// Records the launches of a piece of work so that it can be run again without any of its host code. Memory of recorded work
// lives in a pool of its own: what is freed inside may be used again inside, never by work outside.
import { XMoEError, type CommandRecording } from '@xmoe/core';
import { createBlockPool, type BlockPool, type DeviceBlock } from './buffers.js';
import type { Command } from './command-stream.js';

export interface Recorder {
  /** Where buffers come from while recording; undefined otherwise. */
  readonly pool: BlockPool | undefined;
  note(command: Command): void;
  /** What cannot be replayed happened: the recording will be refused with this reason. */
  refuse(reason: string): void;
  /** Runs `fn` and keeps its launches. The reason instead, where the host took part. */
  record(fn: () => void): CommandRecording | { readonly refused: string };
  bytes(): number;
  dispose(): void;
}

export function createRecorder(device: GPUDevice, dispatch: (command: Command) => void, destroyed: (block: DeviceBlock) => void): Recorder {
  const pool = createBlockPool(device, { evict: false, destroyed });
  let current: { commands: Command[]; refused: string | undefined } | undefined;
  let recordings = 0;

  const clearUnused = (): void => {
    if (recordings === 0) pool.clear();
  };

  return {
    get pool() {
      return current && pool;
    },
    note(command) {
      current?.commands.push(command);
    },
    refuse(reason) {
      if (current) current.refused ??= reason;
    },
    record(fn) {
      if (current) throw new XMoEError('backend', 'a recording is under way', { op: 'record', hint: 'end it first' });
      const recording = { commands: [] as Command[], refused: undefined as string | undefined };
      current = recording;
      try {
        fn();
      } finally {
        current = undefined;
      }
      if (recording.refused !== undefined) {
        clearUnused();
        return { refused: recording.refused };
      }
      recordings++;
      let disposed = false;
      return {
        replay() {
          if (disposed) throw new XMoEError('disposed', 'a recording was replayed after it was disposed', { op: 'replay', hint: 'record again' });
          for (const command of recording.commands) dispatch(command);
        },
        dispose() {
          if (disposed) return;
          disposed = true;
          recordings--;
          clearUnused();
        },
      };
    },
    bytes: () => pool.bytes(),
    dispose: () => pool.clear(),
  };
}
