// The NaN watch: wraps a kernel table so that the first NaN is blamed on the kernel that made it, and an id outside its table or
// vocabulary on the kernel that was given it. Not on by default.
import type { AnyKernel, Backend, KernelAttributes, KernelInputs, KernelName, Kernels, Operand, OperandField, Operands } from './contract.js';
import { isFloat } from './dtype.js';
import { XMoEError } from './errors.js';

export interface NonFiniteWatch {
  readonly kernels: Kernels;
  /** Waits for checks that the device has not answered yet; raises what they found. */
  settle(): Promise<void>;
}

/**
 * Checks every float output of every kernel for NaN, and ids before they are used. Backends that read synchronously raise at the
 * call; others copy the operand aside and raise at the next read of any tensor. Infinities pass: masks use them.
 */
export function watchKernels(kernels: Kernels, backend: Backend): NonFiniteWatch {
  const pending: Promise<unknown>[] = [];
  const check = (operand: Operand, find: (data: ArrayLike<number>) => XMoEError | undefined): void => {
    if (backend.readSync) {
      const error = find(backend.readSync(operand));
      if (error) throw error;
    } else {
      // A failed read is an answer too: a rejection that nobody awaits yet would end the process.
      pending.push(backend.read(operand).then(find, (error: unknown) => error));
    }
  };
  const watched: Record<string, AnyKernel> = {};
  for (const [name, kernel] of Object.entries(kernels) as [KernelName, AnyKernel][]) {
    watched[name] = (inputs, outputs, attributes) => {
      const given = idsOf(name, inputs, attributes);
      if (given) check(given.ids, (data) => findForeignId(name, given, data));
      kernel(inputs, outputs, attributes);
      for (const output of Object.values(outputs).flatMap(operandsOf)) {
        if (isFloat(output.dtype)) check(output, (data) => findNaN(name, output, data));
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

interface GivenIds {
  readonly ids: Operand;
  /** Ids are below this. */
  readonly count: number;
  /** The lowest that means "none". */
  readonly lowest: number;
}

/** Of kernels whose indices are ids, and not offsets that may lie outside on purpose. */
function idsOf(name: KernelName, inputs: Operands, attributes: unknown): GivenIds | undefined {
  if (name === 'gatherRows') {
    const { x, indices } = inputs as KernelInputs<'gatherRows'>;
    return { ids: indices, count: x.shape[0]!, lowest: -1 };
  }
  if (name !== 'crossEntropyStats') return undefined;
  const { targets } = inputs as KernelInputs<'crossEntropyStats'>;
  return { ids: targets, count: (attributes as KernelAttributes<'crossEntropyStats'>).vocabulary, lowest: -Infinity };
}

function operandsOf(field: OperandField): readonly Operand[] {
  return field === null ? [] : 'buffer' in field ? [field] : field;
}

function findForeignId(name: KernelName, { count, lowest }: GivenIds, data: ArrayLike<number>): XMoEError | undefined {
  for (let index = 0; index < data.length; index++) {
    const id = data[index]!;
    if (id < count && id >= lowest) continue;
    return new XMoEError('numerics', `id ${id} at element ${index} is none of ${count}`, {
      op: name,
      hint: 'pass ids from 0 to one less, or a negative one for none: does the vocabulary fit the text?',
    });
  }
  return undefined;
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
