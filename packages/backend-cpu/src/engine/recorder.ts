// Records the kernel calls of a piece of work, so that it can be done again without the host code between them: in a step of a small model that
// is a quarter of the time. A replay calls the kernels again, on memory that stays theirs. Which work may be repeated is @xmoe/core's replay.ts.
import { XMoEError, type AnyKernel, type CommandRecording, type Kernels, type Operand, type OperandField, type Operands } from '@xmoe/core';
import { bytesPerElement } from '@xmoe/core/backend';
import type { BufferPool } from '../pool.js';
import { CpuBuffer, elements } from '../storage.js';
import { roundToClass } from './arena.js';
import type { SharedPool } from './shared-pool.js';

export interface Recorder {
  /** The pool, but for what recordings hold: freed inside one it may be used again inside, never by work outside. */
  readonly pool: BufferPool;
  /** `kernels`, noted while a recording is under way. */
  noting(kernels: Kernels): Kernels;
  /** As the contract has it. */
  between(fn: () => void): void;
  /** What cannot be replayed happened: the recording is refused with this reason. */
  refuse(reason: string): void;
  /** As the contract has it. */
  record(fn: () => void): CommandRecording | { readonly refused: string };
}

interface Call {
  readonly kernel: AnyKernel;
  readonly inputs: Operands;
  readonly outputs: Operands;
  readonly attributes: unknown;
}

/** A region serves what is at least this part of it. */
const LEAST_USED = 0.5;

/**
 * A recorder on the memory of `shared`. A recording holds what a step needs at exact places: it is refused where the memory grows beyond
 * `mostBytes`, so that what fits only just can move.
 */
export function createRecorder(shared: SharedPool, mostBytes: number): Recorder {
  return new CallRecorder(shared, mostBytes);
}

class CallRecorder implements Recorder {
  readonly pool: BufferPool;
  private readonly store: Store;
  private current: { readonly calls: Call[]; refused: string | undefined } | undefined;
  private recordings = 0;

  constructor(shared: SharedPool, mostBytes: number) {
    const store = (this.store = createStore(shared));
    this.pool = {
      take: (dtype, length) => {
        if (this.current === undefined || this.current.refused !== undefined) return shared.take(dtype, length);
        const address = store.take(roundToClass(bytesPerElement(dtype) * length));
        if (shared.bytes() > mostBytes) this.refuse('the memory of the engine is half full');
        return shared.view(dtype, address, length);
      },
      give: (dtype, data) => {
        if (store.give(data.byteOffset)) this.releaseIdle();
        else shared.give(dtype, data);
      },
      bytes: () => shared.bytes(),
      clear() {
        store.forget();
        shared.clear();
      },
    };
  }

  refuse(reason: string): void {
    if (this.current === undefined || this.current.refused !== undefined) return;
    this.current.refused = reason;
    this.releaseIdle();
  }

  between(fn: () => void): void {
    fn();
    if (this.current?.refused === undefined) this.current?.calls.push({ kernel: fn, inputs: {}, outputs: {}, attributes: undefined });
  }

  noting(kernels: Kernels): Kernels {
    const note = (kernel: AnyKernel): AnyKernel => (inputs, outputs, attributes) => {
      kernel(inputs, outputs, attributes);
      if (this.current?.refused === undefined) this.current?.calls.push({ kernel, inputs: lasting(inputs), outputs: lasting(outputs), attributes });
    };
    return Object.fromEntries(Object.entries(kernels).map(([name, kernel]) => [name, note(kernel as AnyKernel)])) as unknown as Kernels;
  }

  record(fn: () => void): CommandRecording | { readonly refused: string } {
    if (this.current) throw new XMoEError('backend', 'a recording is under way', { op: 'record', hint: 'end it first' });
    const recording: NonNullable<CallRecorder['current']> = { calls: [], refused: undefined };
    this.current = recording;
    try {
      fn();
      // Counted before anything idle is released: what was freed inside is its own from now on.
      return recording.refused === undefined ? this.replayOf(recording.calls) : { refused: recording.refused };
    } finally {
      this.current = undefined;
      this.releaseIdle();
    }
  }

  private replayOf(calls: readonly Call[]): CommandRecording {
    let disposed = false;
    this.recordings++;
    return {
      replay() {
        if (disposed) throw new XMoEError('disposed', 'a recording was replayed after it was disposed', { op: 'replay', hint: 'record again' });
        for (const { kernel, inputs, outputs, attributes } of calls) kernel(inputs, outputs, attributes);
      },
      dispose: () => {
        if (disposed) return;
        disposed = true;
        this.recordings--;
        this.releaseIdle();
      },
    };
  }

  private releaseIdle(): void {
    const isRecording = this.current !== undefined && this.current.refused === undefined;
    if (!isRecording && this.recordings === 0) this.store.release();
  }
}

type Store = ReturnType<typeof createStore>;

/** Regions for all recordings: they do not run at the same time, so they may share what is free between runs. */
function createStore(shared: SharedPool) {
  /** From small to large. */
  const idle: Uint8Array[] = [];
  const lent = new Map<number, Uint8Array>();
  return {
    /** The address of a region of `bytes` or more. */
    take(bytes: number): number {
      const index = idle.findIndex(({ byteLength }) => bytes <= byteLength && bytes >= LEAST_USED * byteLength);
      const region = index === -1 ? (shared.take('bool', bytes) as Uint8Array) : idle.splice(index, 1)[0];
      lent.set(region.byteOffset, region);
      return region.byteOffset;
    },
    /** Whether it was one of these. */
    give(address: number): boolean {
      const region = lent.get(address);
      if (region === undefined) return false;
      lent.delete(address);
      const place = idle.findIndex(({ byteLength }) => byteLength >= region.byteLength);
      idle.splice(place === -1 ? idle.length : place, 0, region);
      return true;
    },
    /** Gives back what is idle. */
    release(): void {
      for (const region of idle.splice(0)) shared.give('bool', region);
    },
    forget(): void {
      idle.length = 0;
      lent.clear();
    },
  };
}

/** The operands as they are now: their tensors may be gone when the kernel is called again. */
function lasting(operands: Operands): Operands {
  const last = (operand: Operand): Operand => ({ buffer: new CpuBuffer(elements(operand), operand.dtype), shape: operand.shape, dtype: operand.dtype });
  const field = (value: OperandField): OperandField => (value === null ? null : 'buffer' in value ? last(value) : value.map(last));
  return Object.fromEntries(Object.entries(operands).map(([name, value]) => [name, field(value)]));
}
