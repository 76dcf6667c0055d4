// Errors that WebGPU reports late: a shader that does not compile, a validation error, a lost device. Kept until the next call
// that can raise them; the first one is the cause of the others.
import { XMoEError } from '@xmoe/core';

export interface Failures {
  /** Keeps what `check` finds. */
  watch(check: Promise<XMoEError | undefined>): void;
  /** Raises the first failure known so far. */
  raise(): void;
  /** Waits for every check under way, then raises the first failure. */
  settle(): Promise<void>;
  /** What the error of a call that waits goes back to: the first failure, else the error itself. */
  causeOf(error: unknown): Promise<XMoEError>;
  /** From here on every call fails with `disposed`, and a lost device is no news. */
  close(): void;
}

/**
 * Makes pipelines and says what is wrong with them: a mistake that WebGPU sees (`validation`), or that the compiler of the driver
 * gives up (`internal`). Neither is reported elsewhere then.
 */
export function compiling<T>(device: GPUDevice, make: () => T): { readonly made: T; readonly error: Promise<GPUError | undefined> } {
  device.pushErrorScope('internal');
  device.pushErrorScope('validation');
  const made = make();
  const errors = [device.popErrorScope(), device.popErrorScope()];
  return { made, error: Promise.all(errors).then(([validation, internal]) => validation ?? internal ?? undefined) };
}

const LESS_MEMORY = 'use a smaller batch (train.batchSize) and more of them per update (train.accumulation): memory does not grow with those; model.checkpointing and train.precision=float16 take less as well';

/** The device refused a buffer beside those of `held` bytes. */
export function noRoom(bytes: number, held: number): XMoEError {
  const size = (count: number): string => (count < 2 ** 30 ? `${(count / 2 ** 20).toFixed(1)} MiB` : `${(count / 2 ** 30).toFixed(2)} GiB`);
  return new XMoEError('memory', `the GPU has no room for ${size(bytes)} more: tensors hold ${size(held)} already, ${size(held + bytes)} would be needed at least`, { op: 'webgpu', hint: LESS_MEMORY });
}

/** A lost device may be reported this much later than the calls that it breaks. */
const LATE_NEWS_MILLISECONDS = 100;

export function createFailures(device: GPUDevice): Failures {
  const pending = new Set<Promise<void>>();
  let cause: XMoEError | undefined;
  let consequence: XMoEError | undefined;
  let closed = false;

  const note = (error: XMoEError | undefined): void => {
    if (error && !closed) cause ??= error;
  };
  // A shader that does not compile makes every command with it invalid, which is often reported first.
  const uncaptured = (event: GPUUncapturedErrorEvent): void => {
    event.preventDefault(); // it is raised, not printed
    const memory = event.error instanceof GPUOutOfMemoryError;
    if (!closed) consequence ??= new XMoEError(memory ? 'memory' : 'backend', event.error.message, {
      op: 'webgpu',
      hint: memory ? LESS_MEMORY : 'this is a mistake in xmoe or in the driver: please report it',
    });
  };
  device.addEventListener('uncapturederror', uncaptured);
  void device.lost.then(({ reason, message }) => {
    note(new XMoEError('backend', `the GPU device was lost (${reason || 'unknown'})${message ? `: ${message}` : ''}`, {
      op: 'webgpu',
      hint: 'make a new backend; a training run goes on from its last checkpoint with --resume',
    }));
  });

  const raise = (): void => {
    if (closed) throw new XMoEError('disposed', 'the backend was disposed', { op: 'webgpu', hint: 'make a new one' });
    const first = cause ?? (pending.size === 0 ? consequence : undefined);
    if (first) throw first;
  };
  const settle = async (): Promise<void> => {
    while (pending.size > 0) await Promise.all(pending);
    raise();
  };
  return {
    watch(check) {
      const watched = check.then(note, (error: unknown) => note(new XMoEError('backend', String(error), { op: 'webgpu', cause: error })));
      pending.add(watched);
      void watched.then(() => pending.delete(watched));
    },
    raise,
    settle,
    async causeOf(error) {
      await Promise.race([device.lost, new Promise((resolve) => setTimeout(resolve, LATE_NEWS_MILLISECONDS))]);
      try {
        await settle();
      } catch (failure) {
        return failure as XMoEError;
      }
      return new XMoEError('backend', String(error), { op: 'webgpu', hint: 'this is a mistake in xmoe or in the driver: please report it', cause: error });
    },
    close() {
      closed = true;
      device.removeEventListener('uncapturederror', uncaptured);
    },
  };
}
