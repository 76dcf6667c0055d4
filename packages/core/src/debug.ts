// The NaN watch: wraps a kernel table so that the first NaN is blamed on the kernel that made it. Not on by default.
import type { Backend, KernelName, Kernels, Operand } from './contract.js';
import { isFloat } from './dtype.js';
import { XMoEError } from './errors.js';
import { KERNEL_OUTPUTS } from './kernel-outputs.js';

export interface NonFiniteWatch {
  readonly kernels: Kernels;
  /** Waits for checks that the device has not answered yet; raises what they found. */
  settle(): Promise<void>;
}

type AnyKernel = (...operands: unknown[]) => void;

/**
 * Checks every float output of every kernel for NaN. Backends that read synchronously raise at the call; others copy
 * the output aside and raise at the next read of any tensor. Infinities pass: masks use them.
 */
export function watchKernels(kernels: Kernels, backend: Backend): NonFiniteWatch {
  const pending: Promise<unknown>[] = [];
  const check = (name: KernelName, output: Operand): void => {
    if (backend.readSync) {
      const error = findNaN(name, output, backend.readSync(output));
      if (error) throw error;
    } else {
      // A failed read is an answer too: a rejection that nobody awaits yet would end the process.
      pending.push(backend.read(output).then((data) => findNaN(name, output, data), (error: unknown) => error));
    }
  };
  const watched: Record<string, AnyKernel> = {};
  for (const name of Object.keys(KERNEL_OUTPUTS) as KernelName[]) {
    const kernel = kernels[name] as AnyKernel;
    watched[name] = (...operands) => {
      kernel(...operands);
      for (const position of KERNEL_OUTPUTS[name]) {
        for (const output of [operands[position] as Operand | readonly Operand[] | null].flat()) {
          if (output && isFloat(output.dtype)) check(name, output);
        }
      }
    };
  }
  return {
    kernels: watched as unknown as Kernels,
    async settle() {
      for (const result of pending.splice(0)) {
        const error = await result;
        if (error) throw error;
      }
    },
  };
}

function findNaN(name: KernelName, output: Operand, data: ArrayLike<number>): XMoEError | undefined {
  for (let index = 0; index < data.length; index++) {
    if (!Number.isNaN(data[index])) continue;
    return new XMoEError('numerics', `NaN at element ${index} of ${output.dtype} [${output.shape.join(', ')}]`, {
      op: name,
      hint: 'look at the inputs of this op: an infinity minus an infinity, 0/0 or the log of a negative number',
    });
  }
  return undefined;
}
