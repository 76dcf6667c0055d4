// Records the launches of a piece of work so that it can be run again without any of its host code. Memory of recorded work
// lives in a pool of its own: what is freed inside may be used again inside, never by work outside.
import { XMoEError, type CommandRecording } from '@xmoe/core';
import { BlockPool, type DeviceBlock } from './buffers.js';
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

export interface RecorderParts {
  readonly device: GPUDevice;
  /** As that of a block pool. */
  readonly largest: number;
  dispatch(command: Command): void;
  /** As those of a block pool. */
  made(bytes: number, error: Promise<GPUError | null>): void;
  destroyed(block: DeviceBlock): void;
  /** A recording begins: memory that lies idle elsewhere is of no use to it. */
  begins(): void;
  /** Raises what has failed so far. */
  raise(): void;
}

export function createRecorder({ device, largest, dispatch, made, destroyed, begins, raise }: RecorderParts): Recorder {
  let current: { commands: Command[]; refused: string | undefined } | undefined;
  let recordings = 0;
  // One pool for all recordings: they do not run at the same time, so they may share what is free between runs.
  const pool = new BlockPool(device, { largest, mostIdle: () => (current || recordings > 0 ? Infinity : 0), made, destroyed });

  function replayOf(commands: readonly Command[]): CommandRecording {
    let disposed = false;
    recordings++;
    return {
      replay() {
        if (disposed) throw new XMoEError('disposed', 'a recording was replayed after it was disposed', { op: 'replay', hint: 'record again' });
        raise();
        for (const command of commands) dispatch(command);
      },
      dispose() {
        if (disposed) return;
        disposed = true;
        if (--recordings === 0) pool.clear();
      },
    };
  }

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
      begins();
      current = recording;
      let complete = false;
      try {
        fn();
        complete = recording.refused === undefined;
      } finally {
        current = undefined;
        if (!complete && recordings === 0) pool.clear();
      }
      return recording.refused === undefined ? replayOf(recording.commands) : { refused: recording.refused };
    },
    bytes: () => pool.bytes,
    dispose: () => pool.close(),
  };
}
