// A backend that records, made of one that does not: its recordings call the same kernels on the same buffers again. It shows on
// any machine what a caller of `record` must get right; how a GPU backend records is tested there.
import type { AnyKernel, Backend, BackendBuffer, BackendKernels, Operand, OperandField, Operands } from '@xmoe/core';

export interface RecordingBackend extends Backend {
  /** Kernels called by host code, and by replays. */
  readonly calls: { host: number; replayed: number };
}

interface Recorded {
  readonly work: (() => void)[];
  /** Made here and freed, by this recording or by a later one. */
  readonly freed: BackendBuffer[];
  refused: string | undefined;
  disposed: boolean;
}

/** `backend` with `record`. What is made inside a recording stays allocated as long as the recording. */
export function createRecordingBackend(backend: Backend): RecordingBackend {
  let current: Recorded | undefined;
  const madeIn = new WeakMap<BackendBuffer, Recorded>();
  const calls = { host: 0, replayed: 0 };
  const kernels = Object.fromEntries(
    Object.entries(backend.kernels).map(([name, kernel]) => [name, (...[inputs, outputs, attributes]: Parameters<AnyKernel>) => {
      const [read, written] = [withoutTensors(inputs), withoutTensors(outputs)];
      const run = (): void => (kernel as AnyKernel)(read, written, attributes);
      current?.work.push(run);
      calls.host++;
      run();
    }]),
  ) as unknown as BackendKernels;
  return {
    ...backend,
    readSync: undefined,
    hostView: undefined,
    between: undefined,
    calls,
    kernels,
    allocate(dtype, length) {
      const buffer = backend.allocate(dtype, length);
      if (current) madeIn.set(buffer, current);
      return buffer;
    },
    free(buffer) {
      const maker = madeIn.get(buffer);
      if (maker && !maker.disposed) maker.freed.push(buffer);
      else backend.free(buffer);
    },
    write(operand, data) {
      if (current) current.refused ??= 'a tensor is written by the host';
      backend.write(operand, data);
    },
    record(fn) {
      const recording: Recorded = { work: [], freed: [], refused: undefined, disposed: false };
      current = recording;
      try {
        fn();
      } finally {
        current = undefined;
      }
      const dispose = (): void => {
        recording.disposed = true;
        recording.freed.splice(0).forEach((buffer) => backend.free(buffer));
      };
      if (recording.refused !== undefined) {
        dispose();
        return { refused: recording.refused };
      }
      return {
        replay() {
          calls.replayed += recording.work.length;
          for (const run of recording.work) run();
        },
        dispose,
      };
    },
  };
}

/** Operands by their buffers: tensors are disposed before the replay. */
function withoutTensors(operands: Operands): Operands {
  const plain = ({ buffer, shape, dtype }: Operand): Operand => ({ buffer, shape, dtype });
  const copy = (field: OperandField): OperandField => (field === null ? null : 'buffer' in field ? plain(field) : field.map(plain));
  return Object.fromEntries(Object.entries(operands).map(([name, field]) => [name, copy(field)]));
}
